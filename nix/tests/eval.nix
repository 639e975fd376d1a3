# What the modules make of some systems, as JSON, for tests/nix.rs.
let
  stub = import ./stub.nix;
  inherit (stub) lib;
  defaults = {
    enable = true;
    package = stub.pkgs.zferry;
    onPlug = true;
    saveAt = "daily";
    operators = {
      group = null;
      via = [ ];
    };
  };
  settings = {
    drives.t7 = {
      pool = "backup";
      pool-guid = "11906027114410063854";
      backups = [ "home" ];
    };
    backups.home = {
      source = "rpool/nixos/home";
      target = "eds";
      exclude = [ "videos" ];
      prune = "mirror";
    };
    streams.diary = {
      source = "rpool/diary-entries";
      directory = "/srv/files";
      ping = "file:/etc/zferry/ping-diary";
    };
  };
  zfs = {
    enabled = true;
    extraPools = [ ];
  };
  nixos =
    given: zfsGiven:
    stub.evaluate ../nixos-module.nix [ "services" "zferry" ]
      (defaults // { inherit settings; } // given)
      {
        boot.zfs = zfs // zfsGiven;
      };
  failing = given: zfsGiven: stub.failing (nixos given zfsGiven);
  home =
    given:
    stub.evaluate ../home-module.nix [ "programs" "zferry" ] (
      {
        enable = true;
        package = stub.pkgs.zferry;
        alias = "backup-to-drive";
        elevate = "sudo";
        notifier.enable = false;
      }
      // given
    ) { };
  notified =
    package:
    home {
      inherit package;
      notifier.enable = true;
    };
  operators = {
    group = "wheel";
    via = [
      "sudo"
      "doas"
    ];
  };
  flake = (import ../../flake.nix).outputs {
    self = flake;
    nixpkgs = {
      inherit lib;
      legacyPackages = lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] (_: stub.pkgs);
    };
  };
in
{
  inherit settings;
  options = map stub.optionsOf [
    ../nixos-module.nix
    ../home-module.nix
  ];
  system = nixos { inherit operators; } { };
  manual = nixos {
    onPlug = false;
    saveAt = null;
  } { };
  disabled = nixos { enable = false; } { };
  assertions = {
    good = failing { } { };
    zfs = failing { } { enabled = false; };
    drives = failing { settings = { }; } { };
    nobody = failing {
      operators = operators // {
        group = null;
      };
    } { };
    extraPools = failing { } { extraPools = [ "backup" ]; };
    secret = failing {
      settings = settings // {
        drives.t7 = settings.drives.t7 // {
          alerts.ping = "https://hc-ping.com/secret";
        };
      };
    } { };
    secretStream = failing {
      settings = settings // {
        streams.diary = settings.streams.diary // {
          ping = "https://hc-ping.com/secret";
        };
      };
    } { };
    streamsAlone = failing { settings = { inherit (settings) streams; }; } { };
  };
  home = home { };
  homeWithout = home { alias = null; };
  homeNotified = map notified [
    stub.pkgs.zferry
    null
  ];
  homeWithSystemd = home { elevate = "systemd"; };
  homeWithDoas = home {
    elevate = "doas";
    package = null;
  };
  flake = {
    outputs = lib.attrNames flake;
    checks = lib.attrNames flake.checks.x86_64-linux;
    inherit (flake.packages.x86_64-linux.default) pname version postInstall;
    # Without udev's library, and for the drives' rescue file systems.
    portable = {
      inherit (flake.packages.x86_64-linux.zferry-static) buildInputs buildNoDefaultFeatures;
      beside =
        (stub.pkgs.callPackage ../package.nix { portable = flake.packages.x86_64-linux.zferry-static; })
        .postInstall;
    };
    modules = map (module: (module { inherit (stub) pkgs; }).config) [
      flake.nixosModules.default
      flake.homeModules.default
    ];
  };
}
