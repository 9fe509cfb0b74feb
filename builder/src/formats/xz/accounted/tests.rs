use std::io::Write as _;

use liblzma::{
    stream::{Check, Filters, LzmaOptions, Stream as Liblzma},
    write::XzEncoder,
};

use super::{super::lzma2::UNITS_PER_BYTE, *};
use crate::formats::xz::{Effort, Filter, decode, encode_block, stream_end};

/// Words that repeat near and far, jumps of x86, and bytes that do not compress.
fn plain(length: usize) -> Vec<u8> {
    let (mut state, mut out) = (1_u32, Vec::new());
    while out.len() < length {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        match state >> 29 {
            0..2 => out.extend(format!("word{} ", state >> 8 & 15).bytes()),
            2 => out.extend([0xe8, (state >> 8) as u8, (state >> 16) as u8, 0, 0]),
            3 => out.extend(vec![b'.'; (state >> 8 & 511) as usize]),
            4 => {
                let from = (state >> 8) as usize % (out.len() + 1);
                out.extend_from_within(from..out.len().min(from + 600));
            }
            _ => out.extend((state & 0x7f7f_7f7f).to_le_bytes()),
        }
    }
    out.truncate(length);
    out
}

/// A file with a block of each filter.
fn file(plain: &[u8]) -> Vec<u8> {
    let filters = [Filter::TEXT, Filter::DATA, Filter::X86];
    let block = |filter| encode_block(plain, plain.len() as u64, filter, Effort::Best).expect("encodes");
    let blocks = filters.iter().map(block).collect::<Vec<_>>();
    let records: Vec<_> = blocks.iter().map(|block| block.record()).collect();
    let bytes = blocks.into_iter().flat_map(|block| block.bytes).collect::<Vec<_>>();
    [stream_header(), bytes, stream_end(&records)].concat()
}

fn by_liblzma(file: &[u8]) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    decode(file)?.read_to_end(&mut plain)?;
    Ok(plain)
}

/// What is yielded, how much was charged for, and with how many units.
fn read(file: &[u8]) -> Result<(Vec<u8>, u64, u64), XzError<Infallible>> {
    let mut stream = Stream::new(file)?;
    let (mut plain, mut count, mut units) = (Vec::new(), 0, 0);
    let mut take = |bytes: &[u8]| {
        plain.extend_from_slice(bytes);
        Ok(())
    };
    while stream.block(&mut |more, price| (count, units) = (count + more, units + price), &mut take)? {}
    Ok((plain, count, units))
}

/// How much was charged for, and with how many units.
fn sums(file: &[u8], limit_bytes: u64) -> Result<(u64, u64), XzError<Infallible>> {
    let (mut count, mut units) = (0, 0);
    account(file, limit_bytes, |more, price| (count, units) = (count + more, units + price))?;
    Ok((count, units))
}

#[test]
fn yields_what_liblzma_yields_and_prices_near_the_length_of_the_file() {
    // Of a byte, of some, of chunks as they are, of several chunks.
    let mut noise = vec![0; 200_000];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    for plain in [vec![7], plain(1000), noise, plain(3 << 20)] {
        let file = file(&plain);
        let (yielded, count, units) = read(&file).expect("reads");
        assert!(yielded == by_liblzma(&file).expect("decodes"), "{} bytes", plain.len());
        assert_eq!(count, yielded.len() as u64);
        let (length, price) = (file.len() as u64, units / UNITS_PER_BYTE);
        assert!(price <= length && length - price <= 300 + length / 500, "{price} of {length}");
        assert_eq!(sums(&file, count).expect("reads"), (count, units));
        assert!(matches!(sums(&file, count - 1), Err(XzError::TooLong)));
    }
    assert!(matches!(read(&[]), Err(XzError::Read(_))), "nothing is no file");
}

/// A stream as other encoders make it: of one block, whose header does not say its sizes.
fn made(plain: &[u8], dictionary_bytes: u32, check: Check, is_arm: bool) -> Vec<u8> {
    let mut options = LzmaOptions::new_preset(6).expect("a preset");
    options.dict_size(dictionary_bytes);
    let mut filters = Filters::new();
    if is_arm {
        filters.arm();
    }
    filters.lzma2(&options);
    let encoder = Liblzma::new_stream_encoder(&filters, check).expect("an encoder");
    let mut encoder = XzEncoder::new_stream(Vec::new(), encoder);
    encoder.write_all(plain).expect("encodes");
    encoder.finish().expect("ends")
}

#[test]
fn a_dictionary_that_is_shorter_than_the_contents_is_a_ring() {
    let plain = plain(3 << 20);
    for dictionary_bytes in [4096, 3 << 12, 1 << 16, 3 << 16, 1 << 20] {
        let file = made(&plain, dictionary_bytes, Check::Crc64, false);
        assert!(read(&file).expect("reads").0 == plain, "{dictionary_bytes}");
    }
}

#[test]
fn other_forms_are_priced_and_left_to_liblzma() {
    let plain = plain(300_000);
    let made = |check, is_arm| made(&plain, 1 << 20, check, is_arm);
    let ours = made(Check::Crc64, false);
    let others: [(&str, Vec<u8>); 5] = [
        ("CRC32", made(Check::Crc32, false)),
        ("SHA-256", made(Check::Sha256, false)),
        ("no check", made(Check::None, false)),
        ("a filter of another machine", made(Check::Crc64, true)),
        ("padding", [&ours[..], &[0; 8]].concat()),
    ];
    for (what, file) in others {
        assert!(matches!(read(&file), Err(XzError::Form)), "{what}");
        assert_eq!(sums(&file, 1 << 20).expect("is priced").0, plain.len() as u64, "{what}");
    }
    let twice = [&ours[..], &[0; 4], &ours].concat();
    assert_eq!(sums(&twice, 1 << 20).expect("is priced").0, 2 * plain.len() as u64);
}

#[test]
fn a_changed_or_cut_file_is_refused_wherever_liblzma_refuses_it() {
    let file = file(&plain(300));
    for bit in 0..file.len() * 8 {
        let mut changed = file.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(by_liblzma(&changed).is_err());
        assert!(read(&changed).is_err(), "bit {} of byte {} is not covered", bit % 8, bit / 8);
        let _ = sums(&changed, 1 << 20);
    }
    for length in 0..file.len() {
        assert!(read(&file[..length]).is_err() && sums(&file[..length], 1 << 20).is_err(), "{length} bytes");
    }
    assert!(read(&[&file[..], &[0]].concat()).is_err());
}
