# A runner's image by Packer. Put your own builder in place of the source: this one is a machine that is there.
#
#   packer build -var host=192.0.2.1 -var package=binfmtd_0.1.0-1_amd64.deb packaging/runner/binfmtd.pkr.hcl

variable "package" {
  type        = string
  description = "The file of binfmtd's package or archive, on this machine."
}

variable "targets" {
  type        = string
  default     = "linux/arm64,linux/riscv64"
  description = "What jobs build for."
}

variable "host" {
  type = string
}

variable "user" {
  type    = string
  default = "root"
}

source "null" "runner" {
  ssh_host       = var.host
  ssh_username   = var.user
  ssh_agent_auth = true
}

build {
  sources = ["source.null.runner"]

  # Nobody else's: root runs what is in it.
  provisioner "shell" {
    inline = ["mkdir -m 700 /tmp/binfmtd-runner"]
  }

  provisioner "file" {
    sources = [
      "${path.root}/install",
      "${path.root}/preflight.sh",
      "${path.root}/runner.conf",
      "${path.root}/binfmtd-runner-generator",
      var.package,
    ]
    destination = "/tmp/binfmtd-runner/"
  }

  # Ends the build where the machine does not run programs of these targets.
  provisioner "shell" {
    inline = [
      "trap 'rm -r /tmp/binfmtd-runner' EXIT",
      "as_root() { if [ $(id -u) -eq 0 ]; then \"$@\"; else sudo -n -- \"$@\"; fi; }",
      "as_root sh /tmp/binfmtd-runner/install --target '${var.targets}' '/tmp/binfmtd-runner/${basename(var.package)}'",
    ]
  }
}
