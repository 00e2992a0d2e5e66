//! Says hello: the smallest kernlet program.
#![cfg_attr(kernlet_image, no_std, no_main)]
#![forbid(unsafe_code)]

#[kernlet::main]
async fn main() {
    kernlet::println!("Hello from kernlet!");
}
