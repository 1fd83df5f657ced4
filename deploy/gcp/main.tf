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
  description = "Hospital -> its bucket and the prefix in it, empty or ending in a slash. The hospital owns the bucket."
  type        = map(object({ bucket = string, prefix = string }))

  # `st-mary` without the slash is also the beginning of `st-mary-2/`.
  validation {
    condition = alltrue([
      for hospital, place in var.landing :
      can(regex("^[a-z0-9-]+$", hospital)) && can(regex("^[a-z0-9._-]+$", place.bucket)) && can(regex("^([A-Za-z0-9 ._=+@-]+/)*$", place.prefix))
    ])
    error_message = "A prefix is empty or ends in a slash; its parts have letters, digits, blanks and . _ = + @ - only."
  }
}

variable "recipients" {
  description = "Recipient -> its member, such as `group:team@example.org`."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for recipient in keys(var.recipients) : can(regex("^[a-z0-9-]+$", recipient))])
    error_message = "A recipient's name has small letters, digits and hyphens."
  }
}

variable "kms_key" {
  description = "A key of yours that encrypts the buckets; the storage service's account may use it. Empty: Google's key."
  type        = string
  default     = ""
}

variable "access_log_bucket" {
  description = "A bucket of yours that keeps who read and wrote what in these buckets; empty for none."
  type        = string
  default     = ""
}

variable "curators" {
  description = "The member of those who look at de-identified data."
  type        = string
}

variable "external" {
  description = "The member of those who search the public table, such as `serviceAccount:` and the account of the pod `search`."
  type        = string
}

variable "runner" {
  description = "The member as whom the platform runs: it becomes the zones' accounts, and starts Dataflow's jobs."
  type        = string
}

variable "worker_images" {
  description = "The repository of Artifact Registry that holds GRADIENT_DATAFLOW_IMAGE; null when its workers may read it anyhow."
  type        = object({ project = string, location = string, name = string })
  default     = null
}

data "google_project" "here" {
  project_id = var.project
}

locals {
  rights = jsondecode(file("${path.module}/grants.json"))

  # One grant for each member: a hospital and a recipient are many, every other identity is one.
  members = merge(
    { for one in local.rights.identities : one => { (one) = "serviceAccount:${google_service_account.own[one].email}" } },
    {
      runner    = { runner = var.runner }
      curator   = { curator = var.curators }
      external  = { external = var.external }
      recipient = var.recipients
      landing   = { for hospital, account in google_service_account.landing : hospital => "serviceAccount:${account.email}" }
    }
  )
  grants = merge([
    for number, grant in local.rights.grants : {
      for name, member in local.members[grant.identity] : "${number}-${name}" => merge(grant, {
        name     = name
        member   = member
        role     = try(google_project_iam_custom_role.own[trimprefix(grant.role, "custom:")].id, grant.role)
        in       = try(grant.bucket == "landing" ? var.landing[name].bucket : "${var.bucket_prefix}-${grant.bucket}", "")
        prefix   = replace(replace(try(grant.prefix, ""), "$${recipient}", name), "$${landing_prefix}", try(var.landing[name].prefix, ""))
        excepted = try(grant.except, [])
      })
    }
  ]...)

  # `roles/dataflow.worker` reads every object of its project: what of it is storage's is bound to one place.
  bounds = {
    for name, grant in local.grants : name => "resource.service != 'storage.googleapis.com' || resource.name == 'projects/_/buckets/${var.bucket_prefix}-${grant.objects_of}' || resource.name.startsWith('projects/_/buckets/${var.bucket_prefix}-${grant.objects_of}/objects/${grant.prefix}')" if can(grant.objects_of)
  }

  # Google takes 12 logical operators in a condition; the tests count.
  conditions = {
    for name, grant in local.grants : name => join(" && ", concat(
      grant.prefix == "" ? [] : [
        "(resource.name.startsWith('projects/_/buckets/${grant.in}/objects/${grant.prefix}') || api.getAttribute('storage.googleapis.com/objectListPrefix', '').startsWith('${grant.prefix}'))"
      ],
      [for one in grant.excepted : "!resource.name.startsWith('projects/_/buckets/${grant.in}/objects/${one}')"],
      grant.prefix == "" ? [] : [
        for one in grant.excepted : "!api.getAttribute('storage.googleapis.com/objectListPrefix', '').startsWith('${one}')"
      ],
    ))
  }
}

resource "google_project_iam_custom_role" "own" {
  for_each    = local.rights.roles
  project     = var.project
  role_id     = "gradient_${each.key}"
  title       = "Gradient: ${each.key}"
  permissions = each.value
}

resource "google_service_account" "own" {
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

resource "google_service_account_iam_member" "own" {
  for_each           = { for name, grant in local.grants : name => grant if can(grant.account) }
  service_account_id = google_service_account.own[each.value.account].name
  role               = each.value.role
  member             = each.value.member
}

resource "google_artifact_registry_repository_iam_member" "images" {
  for_each   = { for name, grant in local.grants : name => grant if can(grant.images) && var.worker_images != null }
  project    = var.worker_images.project
  location   = var.worker_images.location
  repository = var.worker_images.name
  role       = each.value.role
  member     = each.value.member
}

resource "google_storage_bucket" "own" {
  for_each                    = toset(local.rights.buckets)
  project                     = var.project
  name                        = "${var.bucket_prefix}-${each.key}"
  location                    = var.location
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  # Logs alone keep versions and what was deleted: elsewhere that would be a picture of somebody who withdrew. A retention
  # policy of the bucket would also keep a key's record from growing; what is written once is guarded by grants.json.
  versioning {
    enabled = each.key == "logs"
  }
  soft_delete_policy {
    retention_duration_seconds = each.key == "logs" ? 90 * 86400 : 0
  }
  dynamic "encryption" {
    for_each = var.kms_key == "" ? [] : [var.kms_key]
    content {
      default_kms_key_name = encryption.value
    }
  }
  dynamic "logging" {
    for_each = var.access_log_bucket == "" ? [] : [var.access_log_bucket]
    content {
      log_bucket        = logging.value
      log_object_prefix = "${var.bucket_prefix}-${each.key}"
    }
  }
}

resource "google_storage_bucket_iam_member" "own" {
  for_each = { for name, grant in local.grants : name => grant if can(grant.bucket) }
  bucket   = each.value.bucket == "landing" ? each.value.in : google_storage_bucket.own[each.value.bucket].name
  role     = each.value.role
  member   = each.value.member
  dynamic "condition" {
    for_each = local.conditions[each.key] == "" ? [] : [local.conditions[each.key]]
    content {
      title      = "in-its-place"
      expression = condition.value
    }
  }
}

resource "google_bigquery_dataset" "zone" {
  for_each   = toset(local.rights.datasets)
  project    = var.project
  dataset_id = "${var.dataset_prefix}${each.key}"
  location   = var.location
  # The least there is (default: 168): until then a table can be read as it was before somebody withdrew.
  max_time_travel_hours = "48"
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
  dynamic "condition" {
    for_each = can(each.value.objects_of) ? [local.bounds[each.key]] : []
    content {
      title      = "objects-in-their-place"
      expression = condition.value
    }
  }
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
  description = "What GRADIENT_<ZONE>_CREDENTIALS are set to, after `impersonate:`; `worker` is GRADIENT_DATAFLOW_SERVICE_ACCOUNT."
  value       = { for name, account in google_service_account.own : name => account.email }
}
