# Buckets, datasets, service accounts and the vault's rights on Google Cloud. Who may do what stands in grants.json, which
# tests/unit/deploy evaluates; this file only puts it in place and holds no grant of its own.

terraform {
  required_version = ">= 1.5"
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 5.0, < 8.0"
    }
  }
}

variable "project" {
  description = "The project of datasets, vault and Dataflow."
  type        = string
}

variable "location" {
  description = "Location of buckets and datasets; the same as GRADIENT_BIGQUERY_LOCATION."
  type        = string
  default     = "US"
}

variable "bucket_prefix" {
  description = "Begins the names of the buckets, which are known to the whole world."
  type        = string
}

variable "dataset_prefix" {
  description = "The same as GRADIENT_DATASET_PREFIX."
  type        = string
  default     = ""
}

variable "landing" {
  description = "Hospital -> its bucket. The hospital owns the bucket; the account made here is allowed to read it."
  type        = map(string)
}

variable "recipients" {
  description = "Recipient -> its member, such as `group:team@example.org`."
  type        = map(string)
  default     = {}
}

variable "curators" {
  description = "The member of those who look at de-identified data."
  type        = string
}

variable "external" {
  description = "The member of those who search the public table."
  type        = string
}

variable "runner" {
  description = "The member as whom the platform runs; it has no right but to become the zones' accounts."
  type        = string
}

data "google_project" "here" {
  project_id = var.project
}

locals {
  rights = jsondecode(file("${path.module}/grants.json"))

  # One grant for each member: a hospital and a recipient are many, every other identity is one.
  members = merge(
    { for zone in local.rights.identities : zone => { (zone) = "serviceAccount:${google_service_account.zone[zone].email}" } },
    {
      curator   = { curator = var.curators }
      external  = { external = var.external }
      recipient = var.recipients
      landing   = { for hospital, account in google_service_account.landing : hospital => "serviceAccount:${account.email}" }
    }
  )
  grants = merge([
    for number, grant in local.rights.grants : {
      for name, member in local.members[grant.identity] : "${number}-${name}" => merge(grant, {
        name   = name
        member = member
        prefix = replace(try(grant.prefix, ""), "$${recipient}", name)
      })
    }
  ]...)
}

resource "google_service_account" "zone" {
  for_each   = toset(local.rights.identities)
  project    = var.project
  account_id = "gradient-${each.key}"
}

# Its key is the secret `<secret_name>/bucket`, which only the identified account reads.
resource "google_service_account" "landing" {
  for_each   = var.landing
  project    = var.project
  account_id = substr("gradient-in-${each.key}", 0, 30)
}

resource "google_service_account_iam_member" "runner" {
  for_each           = google_service_account.zone
  service_account_id = each.value.name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = var.runner
}

resource "google_storage_bucket" "own" {
  for_each                    = toset(local.rights.buckets)
  project                     = var.project
  name                        = "${var.bucket_prefix}-${each.key}"
  location                    = var.location
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
}

resource "google_storage_bucket_iam_member" "own" {
  for_each = { for name, grant in local.grants : name => grant if can(grant.bucket) }
  bucket   = each.value.bucket == "landing" ? var.landing[each.value.name] : google_storage_bucket.own[each.value.bucket].name
  role     = each.value.role
  member   = each.value.member
  dynamic "condition" {
    for_each = each.value.prefix == "" ? [] : [each.value.prefix]
    content {
      title      = "below-its-prefix"
      expression = "resource.name.startsWith('projects/_/buckets/${google_storage_bucket.own[each.value.bucket].name}/objects/${condition.value}') || api.getAttribute('storage.googleapis.com/objectListPrefix', '').startsWith('${condition.value}')"
    }
  }
}

resource "google_bigquery_dataset" "zone" {
  for_each   = toset(local.rights.datasets)
  project    = var.project
  dataset_id = "${var.dataset_prefix}${each.key}"
  location   = var.location
}

resource "google_bigquery_dataset_iam_member" "zone" {
  for_each   = { for name, grant in local.grants : name => grant if can(grant.dataset) && !can(grant.table) }
  project    = var.project
  dataset_id = google_bigquery_dataset.zone[each.value.dataset].dataset_id
  role       = each.value.role
  member     = each.value.member
}

# The platform makes the tables; the first run comes before these grants can be put in place.
variable "tables_exist" {
  description = "Set to true after the first run, and apply again."
  type        = bool
  default     = false
}

resource "google_bigquery_table_iam_member" "table" {
  for_each   = { for name, grant in local.grants : name => grant if can(grant.table) && var.tables_exist }
  project    = var.project
  dataset_id = google_bigquery_dataset.zone[each.value.dataset].dataset_id
  table_id   = each.value.table
  role       = each.value.role
  member     = each.value.member
}

resource "google_project_iam_member" "jobs" {
  for_each = { for name, grant in local.grants : name => grant if can(grant.project) }
  project  = var.project
  role     = each.value.role
  member   = each.value.member
}

resource "google_project_iam_member" "secrets" {
  for_each = { for name, grant in local.grants : name => grant if can(grant.secrets) }
  project  = var.project
  role     = each.value.role
  member   = each.value.member
  condition {
    title      = "keys-of-this-platform"
    expression = "resource.name.startsWith('projects/${data.google_project.here.number}/secrets/${each.value.secrets}')"
  }
}

output "accounts" {
  description = "What GRADIENT_<ZONE>_CREDENTIALS are set to, after `impersonate:`."
  value       = { for zone, account in google_service_account.zone : zone => account.email }
}
