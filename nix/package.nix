# Written as nixpkgs' own packages are, for callPackage.
{
  lib,
  rustPlatform,
  pkg-config,
  installShellFiles,
  udev,
  # Without, devices are found by reading them: for a build that needs no library (`pkgsStatic`).
  withUdev ? true,
  # Such a build, which runs put on drives that have a rescue file system.
  portable ? null,
}:

let
  manifest = (lib.importTOML ../Cargo.toml).package;
in
rustPlatform.buildRustPackage {
  pname = manifest.name;
  inherit (manifest) version;

  src = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.unions [
      ../Cargo.lock
      ../Cargo.toml
      ../src
      ../tests
      ../docs
      ../packaging
      ../udev-rules
    ];
  };
  cargoLock.lockFile = ../Cargo.lock;
  cargoBuildFlags = [ "--package=zferry" ];
  buildNoDefaultFeatures = !withUdev;

  nativeBuildInputs = [
    pkg-config
    installShellFiles
  ];
  buildInputs = lib.optional withUdev udev;

  # The tests of the program: those of the lab need QEMU and Debian's archive.
  cargoTestFlags = [
    "--package=zferry"
    "--lib"
  ];

  # The unit and the rule are those of every other distribution, but for where the program lies.
  postInstall = ''
    install -Dm644 -t $out/lib/udev/rules.d udev-rules/*.rules
    for unit in udev-rules/*.service udev-rules/*.timer; do
      if [ -e "$unit" ]; then
        install -Dm644 -t $out/lib/systemd/system "$unit"
      fi
    done
    install -Dm644 -t $out/lib/systemd/user packaging/zferry-notify.service
    substituteInPlace $out/lib/systemd/*/*.service \
      --replace-fail "ExecStart=zferry" "ExecStart=$out/bin/zferry"
    mkdir -p $out/share/man/man1
    $out/bin/zferry man $out/share/man/man1
    installShellCompletion --cmd zferry \
      --bash <($out/bin/zferry completions bash) \
      --fish <($out/bin/zferry completions fish) \
      --zsh <($out/bin/zferry completions zsh)
  ''
  + lib.optionalString (portable != null) ''
    install -D ${lib.getExe portable} $out/lib/zferry/zferry-static
  '';

  meta = {
    inherit (manifest) description;
    license = [
      lib.licenses.mit
      lib.licenses.asl20
    ];
    mainProgram = "zferry";
    platforms = lib.platforms.linux;
  };
}
