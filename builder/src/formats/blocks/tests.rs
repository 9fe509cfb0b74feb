use std::io::Write as _;

use super::*;

type Charges = Vec<(u64, u64)>;

fn zstd_of(packed: &[u8], limit_bytes: u64) -> Result<Charges, BlockError> {
    let mut charges = Vec::new();
    let charge = |count, price| charges.push((count, price / UNITS_PER_BYTE));
    account_zstd(packed, limit_bytes, charge).map(|()| charges)
}

fn bzip2_of(packed: &[u8], limit_bytes: u64) -> Result<Charges, BlockError> {
    let mut charges = Vec::new();
    let charge = |count, price| charges.push((count, price / UNITS_PER_BYTE));
    account_bzip2(packed, limit_bytes, charge).map(|()| charges)
}

fn sums(charges: &Charges) -> (u64, u64) {
    charges.iter().fold((0, 0), |sum, charge| (sum.0 + charge.0, sum.1 + charge.1))
}

/// Text that repeats, bytes that do not, and zeros: as long as several blocks of either format.
fn sample() -> Vec<u8> {
    let mut out = Vec::new();
    let mut state = 1_u32;
    for round in 0..30_000_u32 {
        out.extend(format!("line {} of tea {}\n", round % 97, round / 7).bytes());
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        out.extend(state.to_le_bytes().repeat(1 + (round % 8) as usize));
    }
    out.extend([0; 300_000]);
    out
}

fn zstd_frame(plain: &[u8], level: i32, has_checksum: bool) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), level).expect("begins");
    encoder.include_checksum(has_checksum).expect("is set");
    encoder.write_all(plain).expect("memory takes it");
    encoder.finish().expect("ends")
}

fn bzip2_stream(plain: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::new(level));
    encoder.write_all(plain).expect("memory takes it");
    encoder.finish().expect("ends")
}

/// A skippable frame.
fn skippable(contents: &[u8]) -> Vec<u8> {
    let size_bytes = (contents.len() as u32).to_le_bytes();
    [&[0x5e, 0x2a, 0x4d, 0x18], &size_bytes[..], contents].concat()
}

/// A frame without a checksum whose window is of 2^WINDOW bytes, of blocks as they are.
fn frame(window: u8, blocks: &[(u32, u32, &[u8])]) -> Vec<u8> {
    let mut out = vec![0x28, 0xb5, 0x2f, 0xfd, 0, (window - 10) << 3];
    for (at, (kind, size, contents)) in blocks.iter().enumerate() {
        let header = u32::from(at + 1 == blocks.len()) | kind << 1 | size << 3;
        out.extend(&header.to_le_bytes()[..3]);
        out.extend(*contents);
    }
    out
}

#[test]
fn each_block_of_zstd_is_charged_with_what_it_takes() {
    let blocks: [(u32, u32, &[u8]); 4] = [(0, 5, b"green"), (1, 100_000, b" "), (0, 0, b""), (0, 3, b"tea")];
    let charges = zstd_of(&frame(17, &blocks), 100_008).expect("holds");
    assert_eq!(charges, [(5, 5), (100_000, 1), (0, 0), (3, 3)]);
    let plain = sample();
    for level in [-5, 1, 3, 19] {
        for has_checksum in [false, true] {
            let packed = zstd_frame(&plain, level, has_checksum);
            let charges = zstd_of(&packed, u64::MAX).expect("holds");
            assert!(charges.iter().all(|(count, _)| *count <= 128 << 10));
            // A window, no size, and three bytes of each block.
            let besides = 6 + 3 * charges.len() as u64 + 4 * u64::from(has_checksum);
            assert_eq!(sums(&charges), (plain.len() as u64, packed.len() as u64 - besides), "{level}");
        }
    }
    // Of a known size, so without a window.
    let packed = zstd::bulk::compress(&plain, 3).expect("encodes");
    assert_eq!(sums(&zstd_of(&packed, u64::MAX).expect("holds")).0, plain.len() as u64);
}

#[test]
fn frames_and_what_is_passed_over_are_read_as_the_decoder_reads_them() {
    let (one, two) = (zstd_frame(b"green ", 1, true), zstd_frame(b"tea", 19, false));
    let table = skippable(b"a table of zstd:chunked");
    let empty = zstd_frame(b"", 3, true);
    for (packed, count) in [
        ([&one[..], &two].concat(), 9),
        ([&table[..], &one, &table, &skippable(b""), &two, &table].concat(), 9),
        ([&empty[..], &one, &empty].concat(), 6),
        (table.clone(), 0),
    ] {
        assert_eq!(sums(&zstd_of(&packed, count).expect("holds")).0, count);
        if count > 0 {
            assert!(matches!(zstd_of(&packed, count - 1), Err(BlockError::TooLong)));
        }
    }
}

#[test]
fn what_a_frame_claims_is_not_taken_from_memory() {
    let raw: [(u32, u32, &[u8]); 1] = [(0, 3, b"tea")];
    assert_eq!(zstd_of(&frame(27, &raw), 3).expect("holds"), [(3, 3)]);
    zstd_of(&frame(28, &raw), 3).expect_err("its window is of more than 128 MiB");
    // Longer than a block may be, than the window is, and of a kind that there is none of.
    for block in [(0, (128 << 10) + 1), (2, 0x1f_ffff), (0, 2000), (1, 0x1f_ffff), (3, 3)] {
        zstd_of(&frame(10, &[(block.0, block.1, &[7; 4000])]), u64::MAX).expect_err("breaks a rule");
    }
    // The longest that can be skipped, and is not there.
    zstd_of(&[0x50, 0x2a, 0x4d, 0x18, 0xff, 0xff, 0xff, 0xff, 1], 0).expect_err("breaks off");
    // Six bytes that yield 128 KiB each time.
    let block: (u32, u32, &[u8]) = (1, 128 << 10, b" ");
    let bomb = frame(17, &[block; 1000]);
    assert!(matches!(zstd_of(&bomb, 1 << 20), Err(BlockError::TooLong)));
}

#[test]
fn a_changed_bit_or_a_cut_end_is_an_error_unless_the_decoder_takes_it() {
    let packed = [zstd_frame(&sample()[..300], 3, true), skippable(b"xyz")].concat();
    damaged(
        &packed,
        |packed| zstd_of(packed, u64::MAX),
        |packed, plain| zstd::Decoder::new(packed).and_then(|mut decoder| decoder.read_to_end(plain)),
    );
    let packed = bzip2_stream(&sample()[..300], 1);
    damaged(
        &packed,
        |packed| bzip2_of(packed, u64::MAX),
        |packed, plain| bzip2::bufread::MultiBzDecoder::new(packed).read_to_end(plain),
    );
}

/// Whatever is changed: what is taken is what the decoder takes.
fn damaged(
    packed: &[u8],
    own: impl Fn(&[u8]) -> Result<Charges, BlockError>,
    decoder: impl Fn(&[u8], &mut Vec<u8>) -> io::Result<usize>,
) {
    let same = |packed: &[u8], what: &str| {
        let mut plain = Vec::new();
        let expected = decoder(packed, &mut plain).is_ok().then_some(plain.len() as u64);
        assert_eq!(own(packed).ok().map(|charges| sums(&charges).0), expected, "{what}");
    };
    for at in 1..packed.len() {
        same(&packed[..at], &format!("cut at {at}"));
        for bit in 0..8 {
            let mut changed = packed.to_vec();
            changed[at] ^= 1 << bit;
            same(&changed, &format!("bit {bit} of {at}"));
        }
    }
}

#[test]
fn each_block_of_bzip2_is_charged_with_what_it_takes() {
    let plain = sample();
    for level in [1, 9] {
        let packed = bzip2_stream(&plain, level);
        let charges = bzip2_of(&packed, plain.len() as u64).expect("holds");
        assert!(charges.len() > 1 || level == 9, "{charges:?}");
        let (count, bytes) = sums(&charges);
        // The magic and the end; ends of blocks fall into bytes.
        let besides = packed.len() as u64 - bytes;
        assert_eq!(count, plain.len() as u64);
        assert!((14..=15).contains(&besides), "{besides}");
        assert!(matches!(bzip2_of(&packed, count - 1), Err(BlockError::TooLong)));
    }
    // A block of noise, and one of its end and of zeros.
    let mut state = 1_u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let plain: Vec<u8> = (0..110_000).map(|_| noise()).chain(vec![0; 150_000]).collect();
    let charges = bzip2_of(&bzip2_stream(&plain, 1), u64::MAX).expect("holds");
    assert_eq!(charges.len(), 2);
    assert!(charges[0].1 > 5 * charges[1].1 && charges[0].0 < charges[1].0, "{charges:?}");
    let streams = [bzip2_stream(b"green ", 9), bzip2_stream(b"", 1), bzip2_stream(b"tea", 1)].concat();
    assert_eq!(
        bzip2_of(&streams, 9).expect("holds").iter().map(|charge| charge.0).collect::<Vec<_>>(),
        [6, 3]
    );
}
