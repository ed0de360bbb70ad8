{
  description = "provision: declarative, idempotent provisioning of Linux hosts over SSH";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    flake-utils.url = "github:numtide/flake-utils";
  };

  outputs = { self, nixpkgs, flake-utils }:
    flake-utils.lib.eachSystem [ "x86_64-linux" "aarch64-linux" ] (system:
      let
        pkgs = nixpkgs.legacyPackages.${system};
        source = pkgs.lib.cleanSource ./.;
        common = {
          version = "0.1.0";
          src = source;
          cargoLock.lockFile = ./Cargo.lock;
          meta = {
            description = "Declarative, idempotent provisioning of Linux hosts over SSH";
            license = pkgs.lib.licenses.mit;
            mainProgram = "provision";
          };
        };

        # The agent is a static program per architecture: musl needs nothing of the host it runs on.
        programFor = name: directory: cross: cross.pkgsStatic.rustPlatform.buildRustPackage (common // {
          pname = name;
          buildAndTestSubdir = directory;
          buildType = "agent";
          doCheck = false; # its tests want root; tests/run runs them
        });
        agentFor = programFor "provision-agent" "crates/agent";
        # With it hosts of AWS fetch their own secrets when they start.
        fetchFor = programFor "provision-fetch-secrets" "crates/fetch";
        agent = agentFor pkgs;
        every = build: {
          x86_64 = build (if system == "x86_64-linux" then pkgs else pkgs.pkgsCross.gnu64);
          aarch64 = build (if system == "aarch64-linux" then pkgs else pkgs.pkgsCross.aarch64-multiplatform);
        };
        agents = every agentFor;
        fetchers = every fetchFor;

        provision = pkgs.rustPlatform.buildRustPackage (common // {
          pname = "provision";
          # The agent of this architecture is inside; those of the others lie beside it.
          PROVISION_AGENT_BINARY = "${agent}/bin/provision-agent";
          PROVISION_FETCH_BINARY = "${fetchFor pkgs}/bin/provision-fetch-secrets";
          nativeBuildInputs = [ pkgs.installShellFiles pkgs.makeWrapper ];
          doCheck = false; # the tests make throwaway hosts, which a build sandbox cannot
          postInstall = ''
            mkdir -p $out/libexec/provision $out/share/provision
            install -m 0755 ${agents.x86_64}/bin/provision-agent $out/libexec/provision/provision-agent-x86_64
            install -m 0755 ${agents.aarch64}/bin/provision-agent $out/libexec/provision/provision-agent-aarch64
            install -m 0755 ${fetchers.x86_64}/bin/provision-fetch-secrets $out/libexec/provision/provision-fetch-secrets-x86_64
            install -m 0755 ${fetchers.aarch64}/bin/provision-fetch-secrets $out/libexec/provision/provision-fetch-secrets-aarch64
            cp -r modules $out/share/provision/
            mkdir man && $out/bin/provision man man && installManPage man/*
            installShellCompletion --cmd provision \
              --bash <($out/bin/provision completions bash) \
              --zsh <($out/bin/provision completions zsh) \
              --fish <($out/bin/provision completions fish)
            wrapProgram $out/bin/provision --set-default PROVISION_AGENT_DIR $out/libexec/provision
          '';
        });
      in
      {
        packages = {
          default = provision;
          inherit provision agent;
          agent-x86_64 = agents.x86_64;
          agent-aarch64 = agents.aarch64;
        };

        devShells.default = pkgs.mkShell {
          packages = with pkgs; [
            cargo rustc clippy rustfmt rust-analyzer cargo-deny
            openssh strace iproute2 iptables systemd mmdebstrap
          ];
        };
      });
}
