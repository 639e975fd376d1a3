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
      ];
      default = "sudo";
      description = ''
        Which program makes the alias root. So that it asks for no password, see
        {option}`services.zferry.operators.via` of the NixOS module.
      '';
    };
  };

  config = lib.mkIf cfg.enable {
    # Completions come with the package.
    home.packages = lib.optional (cfg.package != null) cfg.package;
    home.shellAliases = lib.mkIf (cfg.alias != null) {
      ${cfg.alias} = "${cfg.elevate} zferry run";
    };
  };
}
