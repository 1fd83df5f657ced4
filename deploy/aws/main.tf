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
}

variable "recipients" {
  description = "Recipient -> the ARN of who may take on its role."
  type        = map(string)
  default     = {}
}

variable "runner_trust" {
  description = "JSON of the trust policy of the machine or service that runs the platform."
  type        = string
}

variable "curator_trust" {
  description = "JSON of the trust policy of the people who look at de-identified data."
  type        = string
}

data "aws_caller_identity" "here" {}
data "aws_region" "here" {}

locals {
  account = data.aws_caller_identity.here.account_id
  readers = jsondecode(file("${path.module}/readers.json"))
  zones   = toset(keys(local.readers))
  given = {
    account       = local.account
    region        = data.aws_region.here.name
    bucket_prefix = var.bucket_prefix
  }
  trust_of_zones = templatefile("${path.module}/policies/trust.json", { principal = aws_iam_role.runner.arn })
}

resource "aws_s3_bucket" "zone" {
  for_each = local.zones
  bucket   = "${var.bucket_prefix}-${each.key}"
}

resource "aws_s3_bucket_public_access_block" "zone" {
  for_each                = local.zones
  bucket                  = aws_s3_bucket.zone[each.key].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_policy" "zone" {
  for_each = local.zones
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

resource "aws_iam_role" "curator" {
  name               = "${var.bucket_prefix}-curator"
  assume_role_policy = var.curator_trust
}

resource "aws_iam_role_policy" "curator" {
  role   = aws_iam_role.curator.id
  policy = templatefile("${path.module}/policies/curator.json", local.given)
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
