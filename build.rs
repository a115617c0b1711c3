//! How the tests inside a backend are linked. Their client is a program of its own, without the functions of Postgres: what would call them must
//! be left out. The library that they test is linked as the one that is installed, and keeps all that describes its functions.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_FEATURE_PG_TEST").is_some() {
        println!("cargo::rustc-link-arg=-Wl,--gc-sections");
        println!("cargo::rustc-link-arg-cdylib=-Wl,--no-gc-sections");
    }
}
