output "ipv4_address" {
  description = "Where to connect by SSH."
  value       = hcloud_server.service.ipv4_address
}

output "volume_device" {
  description = "For install.sh --volume-device."
  value       = hcloud_volume.files.linux_device
}
