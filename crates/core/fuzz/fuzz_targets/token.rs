//! The text of a token, as an application sends it.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    workos_auth_core_fuzz::properties::token(input);
});
