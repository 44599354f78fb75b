//! The commands, one module each: the options, what the command does, and what it prints.

pub mod archive;
pub mod console;
pub mod copy;
pub mod count;
pub mod delete;
pub mod demo;
pub mod diff;
pub mod dump;
pub mod evaluate;
pub mod fill;
pub mod find;
pub mod import;
pub mod jobs;
pub mod lock;
pub mod map;
pub mod models;
pub mod rebuild_history;
pub mod recommend;
pub mod refresh_popular;
pub mod related;
pub mod restore;
pub mod revert;
pub mod rotate_secret;
pub mod serve;
pub mod setup;
pub mod train;
pub mod update;
pub mod upload;
pub mod verify;

mod api_answer;
mod dump_location;
mod table_job;
