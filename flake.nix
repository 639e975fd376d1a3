{
  description = "Backs up encrypted ZFS pools to removable drives";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      forAllSystems =
        make:
        lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] (system: make nixpkgs.legacyPackages.${system});
      packageFor = pkgs: self.packages.${pkgs.stdenv.hostPlatform.system}.default;
      # A module that takes the package of this flake, unless told otherwise.
      withPackage =
        option: module:
        { pkgs, ... }:
        {
          imports = [ module ];
          config = lib.setAttrByPath option { package = lib.mkDefault (packageFor pkgs); };
        };
    in
    {
      packages = forAllSystems (pkgs: rec {
        zferry = pkgs.callPackage ./nix/package.nix { };
        # For drives: `zferry.override { portable = zferry-static; }` puts it on their rescue file systems.
        zferry-static = pkgs.pkgsStatic.callPackage ./nix/package.nix { withUdev = false; };
        default = zferry;
      });

      overlays.default = final: _: { zferry = final.callPackage ./nix/package.nix { }; };

      nixosModules = rec {
        zferry = withPackage [ "services" "zferry" ] ./nix/nixos-module.nix;
        default = zferry;
      };

      homeModules = rec {
        zferry = withPackage [ "programs" "zferry" ] ./nix/home-module.nix;
        default = zferry;
      };

      checks = forAllSystems (pkgs: {
        package = packageFor pkgs;
        format = pkgs.runCommand "zferry-format" { nativeBuildInputs = [ pkgs.nixfmt ]; } ''
          nixfmt --check ${./flake.nix} ${./nix}/*.nix ${./nix/tests}/*.nix
          touch $out
        '';
        unused = pkgs.runCommand "zferry-unused" { nativeBuildInputs = [ pkgs.deadnix ]; } ''
          deadnix --fail ${./flake.nix} ${./nix}
          touch $out
        '';
        plug-in = pkgs.testers.runNixOSTest (import ./nix/tests/plug-in.nix { inherit self; });
      });

      devShells = forAllSystems (pkgs: {
        default = pkgs.mkShell {
          inputsFrom = [ (packageFor pkgs) ];
          packages = [
            pkgs.cargo
            pkgs.clippy
            pkgs.rustfmt
          ];
        };
      });

      formatter = forAllSystems (pkgs: pkgs.nixfmt);
    };
}
