//! The header of a token, before it is encoded.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    workos_auth_core_fuzz::properties::header(input);
});
