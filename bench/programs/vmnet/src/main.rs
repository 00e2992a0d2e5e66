//! Opens a socket, so that the network starts, and prints the time stamp counter of the VM's first instruction.
#![cfg_attr(kernlet_image, no_std, no_main)]

#[kernlet::main]
async fn main() -> u8 {
    let socket = kernlet::net::UdpSocket::bind(([0, 0, 0, 0], 9)).await;
    let Some(entry) = kernlet_platform::boot::entry_tsc() else {
        kernlet::eprintln!("this program tells something in a VM only");
        return 1;
    };
    kernlet::println!("entry: {entry}");
    kernlet::time::sleep(kernlet::time::Duration::from_secs(60)).await;
    u8::from(socket.is_err())
}
