//! A TCP proxy whose connection to the other side can be cut, in either of the ways in which networks fail.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How a proxy treats what comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Everything goes through.
    Pass,
    /// Connections are closed, new ones at once.
    Reset,
    /// Connections stay open and new ones are accepted, but nothing that is sent arrives: a cable is cut.
    BlackHole,
}

/// Forwards from an address of its own to another, in threads that end with their connections.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    mode: AtomicU8,
    is_over: AtomicU8,
    open: Mutex<Vec<TcpStream>>,
}

impl Shared {
    fn mode(&self) -> Mode {
        [Mode::Pass, Mode::Reset, Mode::BlackHole][usize::from(self.mode.load(Ordering::SeqCst))]
    }

    fn close_all(&self) {
        for stream in self.open.lock().expect("no thread panics with it").drain(..) {
            // One that the other side has closed is closed.
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}

impl Proxy {
    /// Listens on a free port of 127.0.0.1 and forwards to `target`, which need not be there yet.
    pub(crate) fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let address = listener.local_addr().expect("it has an address");
        let shared =
            Shared { mode: AtomicU8::new(0), is_over: AtomicU8::new(0), open: Mutex::new(Vec::new()) };
        let shared = Arc::new(shared);
        let own = Arc::clone(&shared);
        std::thread::spawn(move || {
            for incoming in listener.incoming().flatten() {
                if own.is_over.load(Ordering::SeqCst) != 0 {
                    break;
                }
                connect(incoming, target, &own);
            }
        });
        Self { address, shared }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on.
    pub(crate) fn set(&self, mode: Mode) {
        self.shared.mode.store(mode as u8, Ordering::SeqCst);
        // Whoever sent into the black hole is not answered later, either: what was sent is gone.
        if mode != Mode::BlackHole {
            self.shared.close_all();
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.is_over.store(1, Ordering::SeqCst);
        self.shared.close_all();
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
    }
}

fn connect(incoming: TcpStream, target: SocketAddr, shared: &Arc<Shared>) {
    if shared.mode() == Mode::Reset {
        return;
    }
    let keep = |stream: &TcpStream| {
        let kept = stream.try_clone().expect("a socket can be shared");
        shared.open.lock().expect("no thread panics with it").push(kept);
    };
    keep(&incoming);
    if shared.mode() == Mode::BlackHole {
        // Nobody reads it; what is kept keeps it open.
        return;
    }
    let Ok(outgoing) = TcpStream::connect_timeout(&target, Duration::from_secs(1)) else {
        drop(incoming.shutdown(Shutdown::Both));
        return;
    };
    keep(&outgoing);
    let share = |stream: &TcpStream| stream.try_clone().expect("a socket can be shared");
    let back = (share(&outgoing), share(&incoming), Arc::clone(shared));
    let forth = (incoming, outgoing, Arc::clone(shared));
    for (from, to, shared) in [forth, back] {
        std::thread::spawn(move || forward(from, to, &shared));
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, shared: &Shared) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        if shared.mode() == Mode::Pass && to.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    for stream in [from, to] {
        // One that is closed already is closed.
        drop(stream.shutdown(Shutdown::Both));
    }
}

/// Three ports of 127.0.0.1 in a row that nobody listens on, below those that outgoing connections take.
pub(crate) fn free_ports() -> [u16; 3] {
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let first = 12_000 + u16::try_from(std::process::id() % 2_000).expect("it is small") * 3;
    let rows = (first..20_000).step_by(3).map(|port| [port, port + 1, port + 2]);
    rows.into_iter().find(|row| row.iter().all(|&port| is_free(port))).expect("there are free ports")
}

#[test]
fn a_proxy_passes_swallows_and_resets() {
    let echo = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let target = echo.local_addr().expect("it has an address");
    std::thread::spawn(move || {
        for mut stream in echo.incoming().flatten() {
            std::thread::spawn(move || {
                let mut byte = [0];
                while stream.read_exact(&mut byte).is_ok() && stream.write_all(&byte).is_ok() {}
            });
        }
    });
    let proxy = Proxy::start(target);
    let ask = |stream: &mut TcpStream| {
        let mut byte = [7];
        stream.write_all(&byte).and_then(|()| stream.read_exact(&mut byte)).map(|()| byte[0])
    };
    let mut stream = TcpStream::connect(proxy.address()).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout can be set");
    assert_eq!(ask(&mut stream).expect("it is passed on"), 7);
    proxy.set(Mode::BlackHole);
    let kind = ask(&mut stream).expect_err("nothing comes back").kind();
    assert_eq!(kind, std::io::ErrorKind::WouldBlock, "but the connection stays open");
    proxy.set(Mode::Reset);
    let kind = ask(&mut stream).expect_err("it is closed").kind();
    assert_ne!(kind, std::io::ErrorKind::WouldBlock, "it is closed, not silent");
    proxy.set(Mode::Pass);
    let mut stream = TcpStream::connect(proxy.address()).expect("it listens");
    assert_eq!(ask(&mut stream).expect("it is passed on again"), 7);
}
