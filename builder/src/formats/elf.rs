//! ELF files, as the dynamic loader sees them (`elf(5)`).

pub mod image;
pub mod linkage;
