//! Turns Debian packages into tiny, sealed, per-app Debian roots.

#![deny(unsafe_code)]

pub mod app;
pub mod archive;
pub mod artifact;
pub mod assemble;
pub mod beside;
pub mod cli;
pub mod configure;
pub mod deep;
pub mod diff;
pub mod download;
pub mod exercise;
pub mod fetch;
pub mod formats;
pub mod grain;
pub mod grains;
pub mod interrupt;
pub mod keys;
pub mod layer;
pub mod lock;
pub mod npm;
pub mod pack;
pub mod papers;
pub mod progress;
pub mod prove;
pub mod proxy;
pub mod prune;
pub mod recipe;
pub mod reduce;
pub mod render;
pub mod resolve;
pub mod run;
pub mod sandbox;
pub mod serve;
pub mod store;
pub mod sys;
#[cfg(feature = "testing")]
pub mod testing;
pub mod threads;
pub mod trace;
pub mod tree;
pub mod unpack;
pub mod used_list;
pub mod view;
pub mod web;
