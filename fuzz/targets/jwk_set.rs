//! Key sets: keys that are kept are public, strong, of their algorithms alone, and no check with one panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::jwks::key::{JwsAlgorithm, VerificationKey};
use portcullis::jwks::key_set::KeySet;
use portcullis::portable;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(set) = KeySet::parse(bytes) {
        assert!(set.counts().0 > 0 && set.counts().0 + set.counts().1 <= 64);
        for algorithm in JwsAlgorithm::ALL {
            if let Ok(key) = set.select(None, algorithm) {
                assert!(key.fits(algorithm));
            }
        }
    }
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(bytes) else { return };
    let Ok(key) = VerificationKey::parse(&value) else { return };
    assert!(!key.jwk().is_signing_key());
    let fitting: Vec<_> = JwsAlgorithm::ALL.into_iter().filter(|&algorithm| key.fits(algorithm)).collect();
    assert!(!fitting.is_empty());
    for algorithm in fitting {
        for length in [64, 96, 256] {
            let good = portable::verify(key.jwk(), algorithm, b"input", &vec![1; length]);
            assert!(good != Ok(true), "a signature of nothing");
        }
    }
});
