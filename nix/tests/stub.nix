# As much of nixpkgs' lib and pkgs as the modules, the package and the flake touch, so that they can be evaluated where
# there is no nixpkgs. It checks no types and merges nothing: the real module system does that, where there is one.
let
  inherit (builtins)
    attrNames
    concatStringsSep
    elem
    elemAt
    filter
    head
    isString
    length
    listToAttrs
    split
    stringLength
    substring
    ;
  type = name: { _type = name; };
in
rec {
  lib = {
    inherit attrNames elem isString;
    inherit (builtins) concatMap;
    mkOption = option: option // { _type = "option"; };
    mkEnableOption =
      what:
      lib.mkOption {
        type = type "boolean";
        default = false;
        description = "Whether to have ${what}.";
      };
    mkPackageOption =
      from: name: more:
      lib.mkOption {
        type = type "package";
        default = from.${name};
        defaultText = "pkgs.${name}";
        description = "The package to use. ${more.extraDescription or ""}";
      };
    optional = condition: element: if condition then [ element ] else [ ];
    optionalString = condition: text: if condition then text else "";
    mkIf = condition: content: if condition then content else { };
    mkDefault = value: value;
    literalExpression = text: text;
    mapAttrsToList = f: set: map (name: f name set.${name}) (attrNames set);
    mapAttrs' = f: set: builtins.listToAttrs (map (name: f name set.${name}) (attrNames set));
    nameValuePair = name: value: { inherit name value; };
    optionalAttrs = condition: set: if condition then set else { };
    hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
    splitString = separator: text: filter isString (split separator text);
    getExe = package: "${package.outPath}/bin/${package.meta.mainProgram}";
    importTOML = path: builtins.fromTOML (builtins.readFile path);
    genAttrs =
      names: f:
      listToAttrs (
        map (name: {
          inherit name;
          value = f name;
        }) names
      );
    setAttrByPath =
      path: value:
      if path == [ ] then
        value
      else
        {
          ${head path} = lib.setAttrByPath (builtins.genList (n: elemAt path (n + 1)) (
            length path - 1
          )) value;
        };
    fileset = {
      toSource = { root, ... }: root;
      unions = files: files;
    };
    licenses = {
      mit = "MIT";
      asl20 = "Apache-2.0";
    };
    platforms.linux = [ "x86_64-linux" ];
    types = {
      bool = type "boolean";
      str = type "string";
      nullOr = of: type "null or ${of._type}";
      listOf = of: type "list of ${of._type}";
      enum = values: type "one of ${concatStringsSep ", " (map builtins.toJSON values)}";
    };
  };

  package = name: {
    type = "derivation";
    inherit name;
    outPath = "/nix/store/${name}";
    meta.mainProgram = name;
  };

  pkgs = {
    inherit lib;
    zferry = package "zferry";
    cryptsetup = package "cryptsetup";
    udisks2 = package "udisks2";
    util-linux = package "util-linux";
    pkg-config = package "pkg-config";
    installShellFiles = package "installShellFiles";
    udev = package "udev";
    nixfmt = package "nixfmt";
    deadnix = package "deadnix";
    cargo = package "cargo";
    clippy = package "clippy";
    rustfmt = package "rustfmt";
    rustPlatform.buildRustPackage = arguments: arguments // package arguments.pname;
    mkShell = arguments: arguments // package "shell";
    runCommand =
      name: _: script:
      package name // { inherit script; };
    testers.runNixOSTest = test: package test.name // { inherit test; };
    pkgsStatic = pkgs;
    stdenv.hostPlatform.system = "x86_64-linux";
    callPackage =
      path: overrides:
      let
        f = import path;
      in
      f (builtins.intersectAttrs (builtins.functionArgs f) (pkgs // { inherit lib; }) // overrides);
    formats.toml = _: {
      type = type "TOML value";
      generate = name: _: "/nix/store/${name}";
    };
  };

  # A module's config for a system that has this; `option` is where the module's own settings are.
  evaluate =
    module: option: given: system:
    let
      result = import module {
        config = lib.setAttrByPath option given // system;
        inherit lib pkgs;
      };
    in
    result.config;

  # The options of a module, with what their documentation needs.
  optionsOf =
    module:
    let
      inherit
        (import module {
          config = { };
          inherit lib pkgs;
        })
        options
        ;
      shown =
        option:
        option.defaultText or (if option.default == { } then "{ }" else builtins.toJSON option.default);
      walk =
        path: set:
        builtins.concatMap (
          name:
          let
            here = path ++ [ name ];
            inside = set.${name};
          in
          if inside._type or null == "option" then
            [
              {
                name = concatStringsSep "." here;
                type = inside.type._type;
                default = shown inside;
                inherit (inside) description;
                example = inside.example or null;
              }
            ]
          else
            walk here inside
        ) (attrNames set);
    in
    walk [ ] options;

  # The messages of the assertions that do not hold.
  failing = config: map (each: each.message) (filter (each: !each.assertion) config.assertions);
}
