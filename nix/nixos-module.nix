# services.zferry: the program, its configuration, and what starts it when a drive is plugged in.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  cfg = config.services.zferry;
  format = pkgs.formats.toml { };
  file = format.generate "zferry.toml" cfg.settings;
  drives = cfg.settings.drives or { };
  streams = cfg.settings.streams or { };
  poolOf = name: drive: drive.pool or name;
  # What members of the group may type without a password: these commands to the letter, and nothing else.
  commands = [
    "run"
    "eject"
  ]
  ++ lib.concatMap (drive: [
    "run ${drive}"
    "eject ${drive}"
  ]) (lib.attrNames drives);
  # The tools of the system that was booted: they fit to the kernel module that is loaded.
  path = [
    "/run/booted-system/sw"
    pkgs.cryptsetup
    pkgs.udisks2
    pkgs.util-linux
  ];
  program = "/run/current-system/sw/bin/zferry";
  isSecretInStore = value: lib.isString value && !lib.hasPrefix "file:" value;
in
{
  options.services.zferry = {
    enable = lib.mkEnableOption "zferry, which backs up encrypted ZFS pools to removable drives";

    package = lib.mkPackageOption pkgs "zferry" { };

    settings = lib.mkOption {
      inherit (format) type;
      default = { };
      example = lib.literalExpression ''
        {
          drives.t7 = {
            pool = "backup";
            pool-guid = "11906027114410063854";
          };
          backups.home = {
            source = "rpool/nixos/home";
            target = "eds";
            prune = "mirror";
          };
        }
      '';
      description = ''
        The configuration, written to {file}`/etc/zferry/config.toml` and checked while the system is built:
        what zferry would refuse, the build refuses. Everything in it lands in the store, which all users can
        read; where a value is a secret, zferry takes `file:/path/to/it`.
      '';
    };

    onPlug = lib.mkOption {
      type = lib.types.bool;
      default = true;
      description = "Whether plugging in a drive of the configuration starts a backup to it.";
    };

    saveAt = lib.mkOption {
      type = lib.types.nullOr lib.types.str;
      default = "daily";
      example = "Mon *-*-* 03:00";
      description = ''
        When each of `settings.streams` is saved to files, as {manpage}`systemd.time(7)` has it; `null`: not by itself.
      '';
    };

    operators = {
      group = lib.mkOption {
        type = lib.types.nullOr lib.types.str;
        default = null;
        example = "wheel";
        description = ''
          A group whose members may start and stop backups without a password: `systemctl start` and `stop` of the
          units, and whatever {option}`services.zferry.operators.via` names.
        '';
      };

      via = lib.mkOption {
        type = lib.types.listOf (
          lib.types.enum [
            "sudo"
            "doas"
          ]
        );
        default = [ ];
        example = [ "sudo" ];
        description = ''
          By which programs members of the group may type `zferry run` and `zferry eject`, with the name of a
          configured drive or without one, and no other option.
        '';
      };
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = config.boot.zfs.enabled;
        message = "services.zferry needs ZFS: boot.supportedFilesystems.zfs = true";
      }
      {
        assertion = drives != { } || streams != { };
        message = "services.zferry.settings names no drive: settings.drives.NAME = { pool = …; pool-guid = …; }";
      }
      {
        assertion = cfg.operators.via == [ ] || cfg.operators.group != null;
        message = "services.zferry.operators.via says how, and services.zferry.operators.group does not say who";
      }
    ]
    ++ lib.mapAttrsToList (name: drive: {
      # The computer would wait for it each time it starts, and import it before zferry can.
      assertion = !lib.elem (poolOf name drive) config.boot.zfs.extraPools;
      message = "boot.zfs.extraPools has ${poolOf name drive}, the pool of the drive ${name}: a drive that may be away must not be in it";
    }) drives
    ++ lib.mapAttrsToList (name: drive: {
      assertion = !isSecretInStore (drive.alerts.ping or "file:");
      message = "services.zferry.settings.drives.${name}.alerts.ping is a secret, and the store is readable for everybody: give it as file:/path";
    }) drives
    ++ lib.mapAttrsToList (name: stream: {
      assertion = !isSecretInStore (stream.ping or "file:");
      message = "services.zferry.settings.streams.${name}.ping is a secret, and the store is readable for everybody: give it as file:/path";
    }) streams;

    environment = {
      systemPackages = [ cfg.package ];
      etc."zferry/config.toml".source = file;
    };

    # Checked as the program will read it. A copy: what lies in the store belongs to nobody while it is built.
    system.checks = [
      (pkgs.runCommand "zferry-configuration" { } ''
        cp ${file} config.toml
        chmod 600 config.toml
        ${lib.getExe cfg.package} --config config.toml config check
        touch $out
      '')
    ];

    # The unit and the rule of the package.
    systemd.packages = [ cfg.package ];
    services.udev.packages = lib.mkIf cfg.onPlug [ cfg.package ];

    systemd.services."zferry@" = {
      inherit path;
      # A new system configuration is no reason to stop a backup.
      restartIfChanged = false;
      stopIfChanged = false;
    };

    # Drives that were away for too long: what `warn-after` is for.
    systemd.services.zferry-check = { inherit path; };
    systemd.timers = {
      zferry-check.wantedBy = [ "timers.target" ];
    }
    // lib.optionalAttrs (cfg.saveAt != null) (
      lib.mapAttrs' (
        name: _:
        lib.nameValuePair "zferry-save@${name}" {
          # Instances of the package's unit.
          overrideStrategy = "asDropin";
          wantedBy = [ "timers.target" ];
          # The first one takes back what the unit says.
          timerConfig.OnCalendar = [
            ""
            cfg.saveAt
          ];
        }
      ) streams
    );

    systemd.services."zferry-save@" = {
      inherit path;
      restartIfChanged = false;
      stopIfChanged = false;
    };

    services.udisks2.enable = lib.mkDefault true;

    security.polkit.extraConfig = lib.mkIf (cfg.operators.group != null) ''
      polkit.addRule(function (action, subject) {
        if (action.id === "org.freedesktop.systemd1.manage-units"
            && /^zferry@[0-9]+\.service$/.test(action.lookup("unit"))
            && ["start", "stop"].indexOf(action.lookup("verb")) >= 0
            && subject.isInGroup(${builtins.toJSON cfg.operators.group})) {
          return polkit.Result.YES;
        }
      });
    '';

    security.sudo.extraRules = lib.mkIf (lib.elem "sudo" cfg.operators.via) [
      {
        groups = [ cfg.operators.group ];
        commands = map (words: {
          command = "${program} ${words}";
          options = [ "NOPASSWD" ];
        }) commands;
      }
    ];

    security.doas.extraRules = lib.mkIf (lib.elem "doas" cfg.operators.via) (
      map (words: {
        groups = [ cfg.operators.group ];
        noPass = true;
        # As it is typed: doas looks for it in directories of the system only.
        cmd = "zferry";
        args = lib.splitString " " words;
      }) commands
    );
  };
}
