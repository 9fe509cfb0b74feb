//! Bytes in, values out, and back: every format that tinyroot reads or writes, one a module.
//!
//! Pure: no clock, no environment, no files but the readers that are given. Whatever comes in is
//! hostile until it has been checked.

pub mod app_id;
pub mod apt_conf;
pub mod auth_file;
pub mod base64;
pub mod blocks;
pub mod budget;
pub mod capnp;
pub mod changelog;
pub mod checksum;
pub mod chunked;
pub mod compression;
pub mod control;
pub mod copyright;
pub mod deb;
pub mod deb822;
pub mod deflate;
pub mod dsse;
pub mod elf;
pub mod event_stream;
pub mod html;
pub mod icu_data;
pub mod image_name;
pub mod jimage;
pub mod json;
pub mod key_file;
pub mod manifest;
pub mod module_info;
pub mod package_lock;
pub mod packages;
pub mod pins;
#[cfg(test)]
mod properties;
pub mod prune_list;
pub mod recipe_summary;
pub mod relation;
pub mod shell_assignments;
pub mod sigstore;
pub mod size;
pub mod spk;
pub mod stream;
pub mod suite;
pub mod systemd_unit;
pub mod tar_in;
pub mod version;
pub mod web_conf;
pub mod websocket;
pub mod xz;
