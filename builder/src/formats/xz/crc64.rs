//! CRC64 of ECMA-182, as `.xz` has it.

/// The polynomial, the lowest bit first.
const POLYNOMIAL: u64 = 0xc96c_5795_d787_0f42;

/// How many bytes one step takes.
const STEP_BYTES: usize = 16;

/// What a byte does that is so many bytes before the end of a step.
static TABLES: [[u64; 256]; STEP_BYTES] = tables();

const fn tables() -> [[u64; 256]; STEP_BYTES] {
    let mut tables = [[0; 256]; STEP_BYTES];
    let mut byte = 0;
    while byte < 256 {
        let (mut crc, mut at) = (byte as u64, 0);
        while at < STEP_BYTES {
            let mut bit = 0;
            while bit < 8 {
                crc = crc >> 1 ^ (POLYNOMIAL & (crc & 1).wrapping_neg());
                bit += 1;
            }
            tables[at][byte] = crc;
            at += 1;
        }
        byte += 1;
    }
    tables
}

/// Sums up bytes that come in parts.
#[derive(Clone, Copy, Debug)]
pub struct Crc64(u64);

impl Crc64 {
    /// Returns the sum of none.
    pub fn new() -> Self {
        Crc64(!0)
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        let (steps, rest) = bytes.as_chunks::<STEP_BYTES>();
        for step in steps {
            let mut step = u128::from_le_bytes(*step) ^ u128::from(self.0);
            self.0 = 0;
            for table in TABLES.iter().rev() {
                self.0 ^= table[step as usize & 0xff];
                step >>= 8;
            }
        }
        for byte in rest {
            self.0 = self.0 >> 8 ^ TABLES[0][(self.0 as u8 ^ byte) as usize];
        }
    }

    /// Returns the sum.
    pub fn finish(self) -> u64 {
        !self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_the_catalogue_however_the_bytes_are_cut() {
        let of = |parts: &[&[u8]]| {
            let mut crc = Crc64::new();
            parts.iter().for_each(|part| crc.update(part));
            crc.finish()
        };
        assert_eq!(of(&[b"123456789"]), 0x995d_c9bb_df19_39fa);
        let bytes: Vec<u8> = (0..100).collect();
        for at in 0..bytes.len() {
            assert_eq!(of(&[&bytes[..at], &bytes[at..]]), of(&[&bytes]), "cut at {at}");
        }
    }
}
