//! FNV-1a: the same in every version of the program and on every platform, which the standard library's hash is
//! not. Its values are on disk and divide the work of shards, so they never change.
//!
//! It tells apart what chance or age made different; against one who picks the bytes it holds nothing.

/// What the 64-bit hash of nothing is, and what every other begins with.
pub const START: u64 = 0xcbf2_9ce4_8422_2325;

const PRIME: u64 = 0x0100_0000_01b3;

/// The hash of `bytes`.
pub fn hash(bytes: &[u8]) -> u64 {
    extended(START, bytes)
}

/// The hash of what `hash` is of, with `bytes` after it. A seeded hash begins with another than [`START`].
pub fn extended(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

/// The hash of `bytes` in 128 bits, for what is on disk for years and must not be taken for anything else.
pub fn hash_128(bytes: &[u8]) -> u128 {
    const START: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes.iter().fold(START, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published vectors (draft-eastlake-fnv).
    #[test]
    fn the_values_never_change() {
        for (text, expected) in [
            ("", 0xcbf2_9ce4_8422_2325),
            ("a", 0xaf63_dc4c_8601_ec8c),
            ("b", 0xaf63_df4c_8601_f1a5),
            ("foobar", 0x8594_4171_f739_67e8),
        ] {
            assert_eq!(hash(text.as_bytes()), expected, "{text:?}");
        }
        for (text, expected) in [
            ("", 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d),
            ("a", 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964),
            ("foobar", 0x343e_1662_793c_64bf_6f0d_3597_ba44_6f18),
        ] {
            assert_eq!(hash_128(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn a_hash_can_be_made_piece_by_piece() {
        assert_eq!(extended(hash(b"foo"), b"bar"), hash(b"foobar"));
    }
}
