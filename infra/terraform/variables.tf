variable "name" {
  description = "Name of the server, and prefix of the names of other resources."
  type        = string
  default     = "jam-storage"
}

variable "location" {
  description = "Hetzner location of server and volume."
  type        = string
  default     = "fsn1"
}

variable "server_type" {
  description = "Hetzner server type; x86, as the release is."
  type        = string
  default     = "cpx31"
}

variable "volume_gigabytes" {
  description = "Size of the volume that holds every user's files. It can grow, never shrink."
  type        = number
  default     = 100

  validation {
    condition     = var.volume_gigabytes >= 10 && var.volume_gigabytes <= 10240
    error_message = "A volume has 10 to 10240 GB."
  }
}

variable "ssh_public_key" {
  description = "The operator's public key."
  type        = string
}

variable "operator_ips" {
  description = "Networks that may connect by SSH, such as [\"198.51.100.7/32\"]."
  type        = list(string)

  validation {
    condition     = !contains(var.operator_ips, "0.0.0.0/0")
    error_message = "SSH must not be open to everybody."
  }
}

variable "dns_zone" {
  description = "Zone in Hetzner's DNS, such as example.com; empty: the names are made elsewhere."
  type        = string
  default     = ""
}

variable "dns_name" {
  description = "The service's name in the zone."
  type        = string
  default     = "files"
}
