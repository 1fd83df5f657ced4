# Buckets, roles and the vault's rights on AWS. What each role may do stands in policies/*.json and readers.json, which
# tests/unit/deploy evaluates; this file only puts them in place and holds no right of its own.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0, < 7.0"
    }
  }
}

variable "bucket_prefix" {
  description = "Begins the names of buckets and roles; the buckets' names are known to the whole world."
  type        = string
}

variable "landing" {
  description = "Hospital -> its bucket and the prefix in it, empty or ending in a slash. The hospital owns the bucket."
  type        = map(object({ bucket = string, prefix = string }))

  # `st-mary` without the slash is also the beginning of `st-mary-2/`; a star would be everybody's.
  validation {
    condition = alltrue([
      for hospital, place in var.landing :
      can(regex("^[a-z0-9-]+$", hospital)) && can(regex("^[a-z0-9.-]+$", place.bucket)) && can(regex("^([A-Za-z0-9 ._=+@-]+/)*$", place.prefix))
    ])
    error_message = "A prefix is empty or ends in a slash; its parts have letters, digits, blanks and . _ = + @ - only."
  }
}

variable "recipients" {
  description = "Recipient -> the ARN of who may take on its role."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for recipient in keys(var.recipients) : can(regex("^[a-z0-9-]+$", recipient))])
    error_message = "A recipient's name has small letters, digits and hyphens."
  }
}

variable "log_days" {
  description = "For so many days nobody deletes a version of what lies in the bucket of logs."
  type        = number
  default     = 3650
}

variable "kms_key_arn" {
  description = "A key of yours that encrypts the buckets; its own policy lets the zones' roles use it. Empty: Amazon's key."
  type        = string
  default     = ""
}

variable "zone_kms_key_arns" {
  description = "Zone -> the key of its own, the same as GRADIENT_<ZONE>_KMS_KEY. Its own policy leaves it to this account who may use it."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for zone, key in var.zone_kms_key_arns : contains(["identified", "deidentified", "public"], zone) && can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", key))])
    error_message = "The zones are identified, deidentified and public; a key is given by its ARN, since a right for an alias is none for its key."
  }
}

variable "access_log_bucket" {
  description = "A bucket of yours that keeps who read and wrote what in these buckets; empty for none."
  type        = string
  default     = ""
}

variable "runner_trust" {
  description = "JSON of the trust policy of the machine or service that runs the platform."
  type        = string
}

variable "curator_trust" {
  description = "JSON of the trust policy of the people who look at de-identified data."
  type        = string
}

variable "external_trust" {
  description = "JSON of the trust policy of who searches the public table, such as the pod `search`."
  type        = string
}

data "aws_caller_identity" "here" {}
data "aws_region" "here" {}

locals {
  account = data.aws_caller_identity.here.account_id
  readers = jsondecode(file("${path.module}/readers.json"))
  buckets = toset(keys(local.readers))
  zones   = setsubtract(local.buckets, ["logs"])
  given = {
    account       = local.account
    region        = data.aws_region.here.name
    bucket_prefix = var.bucket_prefix
  }
  keys           = { for bucket in local.buckets : bucket => lookup(var.zone_kms_key_arns, bucket == "logs" ? "identified" : bucket, var.kms_key_arn) }
  trust_of_zones = templatefile("${path.module}/policies/trust.json", { principal = aws_iam_role.runner.arn })
}

resource "aws_s3_bucket" "zone" {
  for_each            = local.buckets
  bucket              = "${var.bucket_prefix}-${each.key}"
  object_lock_enabled = each.key == "logs"
}

# Logs alone keep versions: elsewhere a version would be a picture of somebody who withdrew.
resource "aws_s3_bucket_versioning" "logs" {
  bucket = aws_s3_bucket.zone["logs"].id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_object_lock_configuration" "logs" {
  bucket     = aws_s3_bucket.zone["logs"].id
  depends_on = [aws_s3_bucket_versioning.logs]
  rule {
    default_retention {
      mode = "GOVERNANCE"
      days = var.log_days
    }
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "zone" {
  for_each = local.buckets
  bucket   = aws_s3_bucket.zone[each.key].id
  rule {
    bucket_key_enabled = local.keys[each.key] != ""
    apply_server_side_encryption_by_default {
      sse_algorithm     = local.keys[each.key] == "" ? "AES256" : "aws:kms"
      kms_master_key_id = local.keys[each.key] == "" ? null : local.keys[each.key]
    }
  }
}

resource "aws_s3_bucket_logging" "zone" {
  for_each      = var.access_log_bucket == "" ? toset([]) : local.buckets
  bucket        = aws_s3_bucket.zone[each.key].id
  target_bucket = var.access_log_bucket
  target_prefix = "${var.bucket_prefix}-${each.key}/"
}

resource "aws_s3_bucket_public_access_block" "zone" {
  for_each                = local.buckets
  bucket                  = aws_s3_bucket.zone[each.key].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_policy" "zone" {
  for_each = local.buckets
  bucket   = aws_s3_bucket.zone[each.key].id
  policy = templatefile("${path.module}/policies/bucket.json", {
    bucket     = aws_s3_bucket.zone[each.key].bucket
    principals = [for role in local.readers[each.key] : "arn:aws:iam::${local.account}:role/${var.bucket_prefix}-${role}"]
  })
}

resource "aws_iam_role" "runner" {
  name               = "${var.bucket_prefix}-runner"
  assume_role_policy = var.runner_trust
}

resource "aws_iam_role_policy" "runner" {
  role   = aws_iam_role.runner.id
  policy = templatefile("${path.module}/policies/runner.json", local.given)
}

resource "aws_iam_role" "zone" {
  for_each           = local.zones
  name               = "${var.bucket_prefix}-${each.key}"
  assume_role_policy = local.trust_of_zones
}

resource "aws_iam_role_policy" "zone" {
  for_each = local.zones
  role     = aws_iam_role.zone[each.key].id
  policy   = templatefile("${path.module}/policies/${each.key}.json", local.given)
}

resource "aws_iam_role_policy" "key" {
  for_each = var.zone_kms_key_arns
  role     = aws_iam_role.zone[each.key].id
  policy   = templatefile("${path.module}/policies/key.json", { key = each.value })
}

resource "aws_iam_role" "curator" {
  name               = "${var.bucket_prefix}-curator"
  assume_role_policy = var.curator_trust
}

resource "aws_iam_role_policy" "curator" {
  role   = aws_iam_role.curator.id
  policy = templatefile("${path.module}/policies/curator.json", local.given)
}

resource "aws_iam_role_policy" "curator_key" {
  for_each = { for zone, key in var.zone_kms_key_arns : zone => key if zone == "deidentified" }
  role     = aws_iam_role.curator.id
  policy   = templatefile("${path.module}/policies/key_of_readers.json", { key = each.value })
}

# Searches on BigQuery, with the key in the secret `zone/external`.
resource "aws_iam_role" "external" {
  name               = "${var.bucket_prefix}-external"
  assume_role_policy = var.external_trust
}

resource "aws_iam_role_policy" "external" {
  role   = aws_iam_role.external.id
  policy = templatefile("${path.module}/policies/external.json", local.given)
}

resource "aws_iam_role" "recipient" {
  for_each           = var.recipients
  name               = "${var.bucket_prefix}-recipient-${each.key}"
  assume_role_policy = templatefile("${path.module}/policies/trust.json", { principal = each.value })
}

resource "aws_iam_role_policy" "recipient" {
  for_each = var.recipients
  role     = aws_iam_role.recipient[each.key].id
  policy   = templatefile("${path.module}/policies/recipient.json", merge(local.given, { recipient = each.key }))
}

resource "aws_iam_role_policy" "recipient_key" {
  for_each = { for recipient, _ in var.recipients : recipient => var.zone_kms_key_arns["public"] if contains(keys(var.zone_kms_key_arns), "public") }
  role     = aws_iam_role.recipient[each.key].id
  policy   = templatefile("${path.module}/policies/key_of_readers.json", { key = each.value })
}

# A user for each hospital: its access key is the secret `<secret_name>/bucket`, which only the identified role reads.
resource "aws_iam_user" "landing" {
  for_each = var.landing
  name     = "${var.bucket_prefix}-landing-${each.key}"
}

resource "aws_iam_user_policy" "landing" {
  for_each = var.landing
  user     = aws_iam_user.landing[each.key].name
  policy = templatefile("${path.module}/policies/landing.json", {
    landing_bucket = each.value.bucket
    landing_prefix = each.value.prefix
  })
}

output "roles" {
  description = "What GRADIENT_<ZONE>_CREDENTIALS are set to, after `role:`."
  value       = { for zone in local.zones : zone => aws_iam_role.zone[zone].arn }
}
