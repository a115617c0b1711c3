//! Says where Cargo has built AWS-LC: the C functions that readers stand beside check signatures with it too.
#![allow(clippy::panic, reason = "a build script has no other way to fail")]

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // DEP_AWS_LC_0_47_0_INCLUDE and so on: the name has the version in it.
    for (ending, name) in [("_INCLUDE", "AWS_LC_INCLUDE"), ("_LIBCRYPTO_PATH", "AWS_LC")] {
        let found = std::env::vars().find(|(name, _)| name.starts_with("DEP_AWS_LC_") && name.ends_with(ending));
        let Some((_, path)) = found else { panic!("aws-lc-sys does not say its {ending}") };
        println!("cargo:rustc-env={name}={path}");
    }
}
