# programs.zferry: what a user has of it. The rule, the unit and the configuration are the system's: services.zferry on
# NixOS, the package elsewhere.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  cfg = config.programs.zferry;
in
{
  options.programs.zferry = {
    enable = lib.mkEnableOption "zferry, which backs up encrypted ZFS pools to removable drives";

    package = lib.mkPackageOption pkgs "zferry" {
      nullable = true;
      extraDescription = ''
        Null where the system has it: {option}`services.zferry.operators.via` lets the system's program be
        called without a password, and not one of the user's.
      '';
    };

    alias = lib.mkOption {
      type = lib.types.nullOr lib.types.str;
      default = "backup-to-drive";
      description = "What to type for a backup, in every shell that home-manager sets up. Null for none.";
    };

    elevate = lib.mkOption {
      type = lib.types.enum [
        "sudo"
        "doas"
        "systemd"
      ];
      default = "sudo";
      description = ''
        Which program makes the alias root. So that it asks for no password, see
        {option}`services.zferry.operators.via` of the NixOS module. With "systemd" it is {command}`run0`, which
        asks by way of polkit.
      '';
    };

    notifier.enable = lib.mkOption {
      type = lib.types.bool;
      default = false;
      description = ''
        Whether what becomes of the drives is shown on the desktop: that a backup began, that a drive can be unplugged,
        what went wrong, what is overdue. It starts with desktops that start {file}`graphical-session.target`.
      '';
    };
  };

  config = lib.mkIf cfg.enable {
    # What packaging/zferry-notify.service says, which other systems have.
    systemd.user.services = lib.mkIf cfg.notifier.enable {
      zferry-notify = {
        Unit = {
          Description = "Show what becomes of the backup drives on the desktop";
          Documentation = "man:zferry-notify(1)";
          PartOf = "graphical-session.target";
          After = "graphical-session.target";
        };
        Service = {
          ExecStart = "${
            if cfg.package == null then "/run/current-system/sw/bin/zferry" else lib.getExe cfg.package
          } notify";
          Restart = "on-failure";
          RestartSec = "10";
          RestartPreventExitStatus = "2 75";
          NoNewPrivileges = "yes";
          LockPersonality = "yes";
          MemoryDenyWriteExecute = "yes";
          RestrictRealtime = "yes";
          RestrictAddressFamilies = "AF_UNIX";
          SystemCallArchitectures = "native";
          UMask = "0077";
        };
        Install.WantedBy = "graphical-session.target";
      };
    };

    # Completions come with the package.
    home.packages = lib.optional (cfg.package != null) cfg.package;
    home.shellAliases = lib.mkIf (cfg.alias != null) {
      ${cfg.alias} = "${if cfg.elevate == "systemd" then "run0" else cfg.elevate} zferry run";
    };
  };
}
