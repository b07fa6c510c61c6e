# One Hetzner server with a volume, a firewall and its name. The server installs nothing by itself:
# infra/hetzner/install.sh does, with the volume's device that `terraform output` tells.

terraform {
  required_version = ">= 1.5"
  required_providers {
    hcloud = {
      source  = "hetznercloud/hcloud"
      version = "~> 1.57"
    }
  }
}

# HCLOUD_TOKEN is the token.
provider "hcloud" {}

resource "hcloud_ssh_key" "operator" {
  name       = "${var.name}-operator"
  public_key = var.ssh_public_key
}

resource "hcloud_firewall" "service" {
  name = var.name

  # ICMP, so that a path's largest packet can be found.
  rule {
    direction  = "in"
    protocol   = "icmp"
    source_ips = ["0.0.0.0/0", "::/0"]
  }

  dynamic "rule" {
    for_each = ["80", "443"]
    content {
      direction  = "in"
      protocol   = "tcp"
      port       = rule.value
      source_ips = ["0.0.0.0/0", "::/0"]
    }
  }

  rule {
    direction  = "in"
    protocol   = "tcp"
    port       = "22"
    source_ips = var.operator_ips
  }
}

resource "hcloud_server" "service" {
  name         = var.name
  server_type  = var.server_type
  image        = "debian-12"
  location     = var.location
  ssh_keys     = [hcloud_ssh_key.operator.id]
  firewall_ids = [hcloud_firewall.service.id]
  backups      = true

  # A new image or key must not replace a server that holds the database.
  delete_protection  = true
  rebuild_protection = true
  lifecycle {
    ignore_changes = [image, ssh_keys]
  }
}

resource "hcloud_volume" "files" {
  name              = "${var.name}-files"
  size              = var.volume_gigabytes
  location          = var.location
  format            = "ext4"
  delete_protection = true

  lifecycle {
    prevent_destroy = true
  }
}

# systemd mounts it (infra/hetzner/systemd), so that nothing starts without it.
resource "hcloud_volume_attachment" "files" {
  volume_id = hcloud_volume.files.id
  server_id = hcloud_server.service.id
  automount = false
}

resource "hcloud_zone_rrset" "ipv4" {
  count   = var.dns_zone == "" ? 0 : 1
  zone    = var.dns_zone
  name    = var.dns_name
  type    = "A"
  ttl     = 300
  records = [{ value = hcloud_server.service.ipv4_address }]
}

resource "hcloud_zone_rrset" "ipv6" {
  count   = var.dns_zone == "" ? 0 : 1
  zone    = var.dns_zone
  name    = var.dns_name
  type    = "AAAA"
  ttl     = 300
  records = [{ value = hcloud_server.service.ipv6_address }]
}
