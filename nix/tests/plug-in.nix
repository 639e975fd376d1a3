# A drive that is plugged into a NixOS machine is backed up to, and is away afterwards. Not run by the project's CI, which
# has no nixpkgs: `nix build .#checks.x86_64-linux.plug-in`.
{ self }:

{
  name = "zferry-plug-in";

  nodes.machine = {
    imports = [ self.nixosModules.default ];
    boot.supportedFilesystems.zfs = true;
    networking.hostId = "deadbeef";
    virtualisation = {
      emptyDiskImages = [ 1024 ];
      qemu.options = [
        "-device qemu-xhci,id=usb"
        "-drive if=none,id=stick,format=raw,file=stick.img"
      ];
    };
    services.zferry = {
      enable = true;
      settings = {
        drives.stick = {
          pool = "backup";
          # Of the pool that the test makes.
          pool-guid = "4242424242";
        };
        backups.home = {
          source = "tank/home";
          target = "eds";
          prune = "mirror";
        };
      };
    };
  };

  testScript = ''
    import subprocess
    subprocess.run(["truncate", "-s", "1G", f"{machine.state_dir}/stick.img"], check=True)
    machine.wait_for_unit("multi-user.target")
    machine.succeed(
        "zpool create -O mountpoint=none tank /dev/vdb",
        "echo 0123456789 > /root/passphrase",
        "zfs create -o encryption=on -o keyformat=passphrase -o keylocation=file:///root/passphrase tank/home",
        "zfs snapshot tank/home@first",
    )
    machine.send_monitor_command("device_add usb-storage,id=stick,drive=stick,bus=usb.0")
    machine.wait_until_succeeds("test -b /dev/disk/by-id/usb-QEMU*-0:0")
    machine.succeed(
        "zpool create -O mountpoint=none backup /dev/disk/by-id/usb-QEMU*-0:0",
        "zpool reguid -g 4242424242 backup",
        "zpool export backup",
    )
    machine.send_monitor_command("device_del stick")
    machine.wait_until_fails("test -b /dev/disk/by-id/usb-QEMU*-0:0")
    machine.send_monitor_command("device_add usb-storage,id=stick,drive=stick,bus=usb.0")
    machine.wait_until_succeeds("journalctl -u 'zferry@*' | grep 'Safe to unplug stick'")
  '';
}
