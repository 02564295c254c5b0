//! Tests of the library and the program as a user sees them. All files are one program, which compiles in less time than many.

mod autoencoders;
mod common;
mod data_fetch;
mod data_files;
mod data_images;
mod data_layout;
mod faults;
mod features_cli;
mod fuzz;
mod hostile;
mod image_formats;
mod labels;
mod library;
mod matlab;
mod messages;
mod models;
mod networks;
mod nonfinite;
mod odd_devices;
mod onnx_files;
mod onnx_import;
mod own_images;
mod practice;
mod predict_cli;
mod ranks;
mod read_cli;
mod report;
mod served;
mod sweep;
mod sweep_search;
mod train_cli;
mod train_features;
mod train_resume;
mod weights_files;
mod whitening;

#[global_allocator]
static ALLOCATOR: common::fuzz::Counting = common::fuzz::Counting;
