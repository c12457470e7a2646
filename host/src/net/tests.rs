//! With name spaces, interfaces and traffic of the kernel, as root: a machine's neighbour is a name space of its own.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::io::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use super::links::{self, End};
use super::netlink::{Batch, Socket};
use super::settings::Bounds;
use super::subnet::Subnet;
use super::*;

/// For what is to come; for what isn't, a test waits as long.
const PATIENCE: Duration = Duration::from_secs(1);
const PORT: u16 = 7777;
const PLENTY: u32 = 100_000;

/// Different in each test and each process, as these run side by side on one machine.
fn number() -> u32 {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    std::process::id() * 16 % 60_000 + COUNT.fetch_add(1, Ordering::Relaxed)
}

/// Takes all it made away when it is dropped.
struct Fixture {
    name: Instance,
    root: PathBuf,
    network: Option<Network>,
}

impl Fixture {
    fn new() -> Fixture {
        let name = Instance::parse(&format!("t{:06}", number())).unwrap();
        let root = std::env::temp_dir().join(format!("e2b-host-net-{}", name));
        fs::create_dir_all(&root).unwrap();
        let network = Some(Network::open(&root, &name).expect("these tests need root and nft"));
        Fixture { name, root, network }
    }

    fn prepared(settings: &Settings) -> Fixture {
        let one = Fixture::new();
        one.prepare(settings).unwrap();
        one
    }

    /// As a helper that was killed and started again.
    fn reopen(&mut self) {
        self.network = None;
        self.network = Some(Network::open(&self.root, &self.name).unwrap());
    }
}

impl std::ops::Deref for Fixture {
    type Target = Network;
    fn deref(&self) -> &Network {
        self.network.as_ref().unwrap()
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if let Some(network) = self.network.take() {
            network.dispose();
        }
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// A name space beside the machine, with a server on each of its addresses.
struct Neighbour {
    space: File,
    interface: String,
}

impl Neighbour {
    fn new(addresses: &[Ipv4Addr]) -> Neighbour {
        let number = number();
        let interface = format!("e2bt{}", number);
        // A pair of addresses of the range for benchmarks, which nothing else here uses.
        let near = Ipv4Addr::from(0xc613_0000 + number * 4 % 65_536);
        let far = Ipv4Addr::from(u32::from(near) + 1);
        let (space, mut within) = space::create(|| {
            space::set_variable("ipv4/icmp_ratemask", "0")?;
            Socket::open(libc::NETLINK_ROUTE)
        })
        .unwrap();
        let (own, peer) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        let mut outer = Socket::open(libc::NETLINK_ROUTE).unwrap();
        let mut batch = Batch::default();
        let ends = [End { name: &interface, index: 0, mac: own }, End { name: "eth0", index: 0, mac: peer }];
        links::add_pair(&mut batch, &ends[0], &ends[1], space.as_fd(), 1500);
        links::set_up(&mut batch, &interface);
        outer.request(batch).unwrap();
        let index = |socket: &mut Socket, name: &str| {
            links::list(socket).unwrap().into_iter().find(|link| link.name == name).unwrap().index
        };
        let (outside, inside) = (index(&mut outer, &interface), index(&mut within, "eth0"));
        let everywhere = Subnet::parse("0.0.0.0/0").unwrap();
        let mut batch = Batch::default();
        links::add_address(&mut batch, outside, near);
        links::add_route(&mut batch, &Subnet::new(far, 32), outside, None);
        addresses.iter().for_each(|one| links::add_route(&mut batch, &Subnet::new(*one, 32), outside, Some(far)));
        outer.request(batch).unwrap();
        let mut batch = Batch::default();
        links::set_up(&mut batch, "lo");
        links::set_up(&mut batch, "eth0");
        links::add_address(&mut batch, inside, far);
        links::add_route(&mut batch, &Subnet::new(near, 32), inside, None);
        links::add_route(&mut batch, &everywhere, inside, Some(near));
        addresses.iter().for_each(|one| links::add_address(&mut batch, 1, *one));
        within.request(batch).unwrap();
        serve(space.as_fd(), addresses);
        Neighbour { space, interface }
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        let mut batch = Batch::default();
        links::remove(&mut batch, &self.interface);
        let _ = Socket::open(libc::NETLINK_ROUTE).unwrap().request(batch);
    }
}

/// Answers what it gets, over TCP and UDP, as long as the process lives.
fn serve(space: BorrowedFd<'_>, addresses: &[Ipv4Addr]) {
    for address in addresses {
        let at = SocketAddr::from((*address, PORT));
        let (tcp, udp) = space::within(space, || Ok((TcpListener::bind(at)?, UdpSocket::bind(at)?))).unwrap();
        thread::spawn(move || {
            for mut stream in tcp.incoming().flatten() {
                thread::spawn(move || io::copy(&mut stream.try_clone().unwrap(), &mut stream));
            }
        });
        thread::spawn(move || {
            let mut buffer = [0; 64];
            while let Ok((length, from)) = udp.recv_from(&mut buffer) {
                let _ = udp.send_to(&buffer[..length], from);
            }
        });
    }
}

fn connect(space: BorrowedFd<'_>, address: Ipv4Addr, port: u16) -> io::Result<TcpStream> {
    let stream = space::within(space, || TcpStream::connect_timeout(&(address, port).into(), PATIENCE))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn echo(mut stream: &TcpStream) -> io::Result<()> {
    let mut answer = [0; 4];
    stream.write_all(b"echo")?;
    stream.read_exact(&mut answer)
}

fn ask(socket: UdpSocket, address: Ipv4Addr, question: &[u8]) -> io::Result<()> {
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.connect((address, PORT))?;
    socket.send(question)?;
    socket.recv(&mut [0; 64]).map(drop)
}

/// A socket of the kernel's for echo requests, which std has none of.
fn ping_socket() -> io::Result<UdpSocket> {
    let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, libc::IPPROTO_ICMP) };
    match fd {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(unsafe { UdpSocket::from_raw_fd(fd) }),
    }
}

/// Whether an address is reached over TCP, UDP, ICMP.
fn reaches(link: &Link, address: Ipv4Addr) -> [bool; 3] {
    let tcp = connect(link.namespace(), address, PORT).and_then(|stream| echo(&stream));
    let udp = space::within(link.namespace(), || ask(UdpSocket::bind("0.0.0.0:0")?, address, b"?"));
    let icmp = space::within(link.namespace(), || ask(ping_socket()?, address, &[8, 0, 0, 0, 0, 0, 0, 1]));
    [tcp.is_ok(), udp.is_ok(), icmp.is_ok()]
}

fn settings(allow: &[Ipv4Addr]) -> Settings {
    let bounds = Bounds { connections: 1000, connections_per_second: PLENTY, packets_per_second: PLENTY };
    let allow = allow.iter().map(|address| Subnet::new(*address, 32)).collect();
    Settings { open: false, allow, resolvers: Vec::new(), bounds }
}

fn some(a: u8, b: u8) -> Ipv4Addr {
    let [c, d] = (number() as u16).to_be_bytes();
    Ipv4Addr::new(a, b, c, d)
}

/// A process that stays in a name space.
fn resident(link: &Link) -> std::process::Child {
    space::within(link.namespace(), || Command::new("sleep").arg("1000").stdin(Stdio::null()).spawn()).unwrap()
}

/// A socket that sends from whatever address it is told to.
fn forger(from: Ipv4Addr) -> io::Result<UdpSocket> {
    let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    let socket = unsafe { UdpSocket::from_raw_fd(fd) };
    let one = &1 as *const i32;
    let mut address: libc::sockaddr_in = unsafe { std::mem::zeroed() };
    address.sin_family = libc::AF_INET as libc::sa_family_t;
    address.sin_addr.s_addr = u32::from(from).to_be();
    let size = std::mem::size_of_val(&address) as libc::socklen_t;
    let at = (&address as *const libc::sockaddr_in).cast();
    let outcome =
        unsafe { libc::setsockopt(fd, libc::SOL_IP, libc::IP_TRANSPARENT, one.cast(), 4) | libc::bind(fd, at, size) };
    if outcome == 0 {
        Ok(socket)
    } else {
        Err(io::Error::last_os_error())
    }
}

#[test]
fn guests_reach_the_open_internet_and_what_is_allowed() {
    let (open, lan) = (some(203, 0), some(192, 168));
    let closed = [some(10, 200), some(100, 64), some(169, 254), some(192, 168)];
    let _neighbour = Neighbour::new(&[&[open, lan], &closed[..]].concat());
    let instance = Fixture::prepared(&settings(&[lan]));
    let link = instance.make().unwrap();
    assert_eq!(reaches(&link, open), [true; 3]);
    assert_eq!(reaches(&link, lan), [true; 3]);
    for address in closed {
        assert_eq!(reaches(&link, address), [false; 3], "{}", address);
    }
    // Whatever the machine does where its operator wants it so, and again not.
    instance.prepare(&Settings { open: true, ..settings(&[]) }).unwrap();
    assert_eq!(reaches(&link, closed[0]), [true; 3]);
    instance.prepare(&settings(&[])).unwrap();
    assert_eq!(reaches(&link, closed[0]), [false; 3]);
    assert_eq!(reaches(&link, lan), [false; 3]);
}

#[test]
fn guests_reach_neither_the_machine_nor_each_other_nor_does_the_machine_reach_them() {
    let instance = Fixture::prepared(&settings(&[]));
    let (one, other) = (instance.make().unwrap(), instance.make().unwrap());
    let machine = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = machine.local_addr().unwrap().port();
    let subnet = instance.router().unwrap().subnet;
    let outwards = UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
        socket.connect("203.0.113.1:9")?;
        socket.local_addr()
    });
    let outwards = match outwards.unwrap().ip() {
        std::net::IpAddr::V4(address) => address,
        other => panic!("{}", other),
    };
    for address in [outwards, subnet.nth(router::MACHINE), subnet.nth(router::ROUTER)] {
        assert!(connect(one.namespace(), address, port).is_err(), "{}", address);
        assert!(!reaches(&one, address)[2], "{}", address);
    }
    serve(other.namespace(), &[other.address()]);
    assert_eq!(reaches(&other, other.address()), [true; 3]);
    assert_eq!(reaches(&one, other.address()), [false; 3]);
    assert!(TcpStream::connect_timeout(&(other.address(), PORT).into(), PATIENCE).is_err());
    // Nor over what only the machine's loopback has.
    let loopback = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = loopback.local_addr().unwrap().port();
    assert!(connect(one.namespace(), Ipv4Addr::LOCALHOST, port).is_err());
}

#[test]
fn the_machine_asks_agents_that_are_opened_to_it_and_those_of_closed_guests_too() {
    let instance = Fixture::prepared(&settings(&[]));
    let (one, other) = (instance.make().unwrap(), instance.make().unwrap());
    let agents = [&one, &other].map(|link| {
        let listen = |port| space::within(link.namespace(), || TcpListener::bind((link.address(), port))).unwrap();
        (listen(AGENT_PORT), listen(PORT))
    });
    let reach = |link: &Link, port| TcpStream::connect_timeout(&(link.address(), port).into(), PATIENCE);
    assert!(reach(&one, AGENT_PORT).is_err());
    for _ in 0..2 {
        instance.open_agent(&one).unwrap();
    }
    let asked = reach(&one, AGENT_PORT).unwrap();
    let (agent, _) = agents[0].0.accept().unwrap();
    let says = |mut from: &TcpStream, mut to: &TcpStream| {
        to.set_read_timeout(Some(PATIENCE)).unwrap();
        from.write_all(b"said").unwrap();
        to.read_exact(&mut [0; 4])
    };
    for egress in [Egress::Open, Egress::Closed] {
        instance.set_egress(&one, egress).unwrap();
        says(&asked, &agent).unwrap();
        says(&agent, &asked).unwrap();
        assert!(reach(&one, AGENT_PORT).is_ok(), "{:?}", egress);
        // Nothing else of it, none of others, and others don't reach it either.
        assert!(reach(&one, PORT).is_err(), "{:?}", egress);
        assert!(reach(&other, AGENT_PORT).is_err(), "{:?}", egress);
        assert!(connect(other.namespace(), one.address(), AGENT_PORT).is_err(), "{:?}", egress);
        // Its port is none that it reaches the machine by.
        let machine = TcpListener::bind("0.0.0.0:0").unwrap();
        let port = machine.local_addr().unwrap().port();
        let address = instance.router().unwrap().subnet.nth(router::MACHINE);
        assert!(connect(one.namespace(), address, port).is_err(), "{:?}", egress);
    }
    instance.cut_agent(&other).unwrap();
    says(&asked, &agent).unwrap();
    instance.cut_agent(&one).unwrap();
    assert_eq!((&asked).read(&mut [0]).unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    drop((asked, agent));
    instance.remove(one);
}

#[test]
fn guests_speak_for_no_address_but_their_own() {
    let open = some(203, 0);
    let neighbour = Neighbour::new(&[open]);
    let instance = Fixture::prepared(&settings(&[]));
    let (one, other) = (instance.make().unwrap(), instance.make().unwrap());
    let listener = space::within(neighbour.space.as_fd(), || UdpSocket::bind((open, 0))).unwrap();
    listener.set_read_timeout(Some(PATIENCE)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let say = |from: Ipv4Addr, text: &[u8]| {
        // As a program could that has every right in its name space.
        space::within(one.namespace(), || forger(from)?.send_to(text, (open, port))).unwrap();
    };
    say(other.address(), b"forged");
    say(some(198, 51), b"forged");
    say(one.address(), b"own");
    let mut heard = [0; 16];
    let length = listener.recv(&mut heard).unwrap();
    assert_eq!(&heard[..length], b"own");
}

#[test]
fn a_closed_guest_reaches_nothing_and_goes_on_once_it_is_open() {
    let open = some(203, 0);
    let _neighbour = Neighbour::new(&[open]);
    let instance = Fixture::prepared(&settings(&[]));
    let (link, other) = (instance.make().unwrap(), instance.make().unwrap());
    let before = connect(link.namespace(), open, PORT).unwrap();
    echo(&before).unwrap();
    for _ in 0..2 {
        instance.set_egress(&link, Egress::Closed).unwrap();
    }
    assert_eq!(reaches(&link, open), [false; 3]);
    assert_eq!(reaches(&other, open), [true; 3]);
    // It is told so at once and needn't wait.
    let refused = connect(link.namespace(), open, PORT).unwrap_err();
    assert_ne!(refused.kind(), io::ErrorKind::TimedOut);
    assert!(echo(&before).is_err());
    for _ in 0..2 {
        instance.set_egress(&link, Egress::Open).unwrap();
    }
    assert_eq!(reaches(&link, open), [true; 3]);
}

#[test]
fn a_guest_has_its_own_share_of_the_machines_connections() {
    let open = some(203, 0);
    let _neighbour = Neighbour::new(&[open]);
    let bounds = Bounds { connections: 20, connections_per_second: PLENTY, packets_per_second: PLENTY };
    let instance = Fixture::prepared(&Settings { bounds, ..settings(&[]) });
    let (greedy, modest) = (instance.make().unwrap(), instance.make().unwrap());
    let held: Vec<_> = (0..20).map(|_| connect(greedy.namespace(), open, PORT).unwrap()).collect();
    assert!(connect(greedy.namespace(), open, PORT).is_err());
    assert_eq!(reaches(&modest, open), [true; 3]);
    drop(held);
}

#[test]
fn only_a_name_space_that_no_packet_passed_is_used_again() {
    let open = some(203, 0);
    let _neighbour = Neighbour::new(&[open]);
    let instance = Fixture::prepared(&settings(&[]));
    let link = instance.make().unwrap();
    let address = link.address();
    instance.set_egress(&link, Egress::Closed).unwrap();
    let link = instance.recycle(link).expect("nothing was done in it");
    assert_eq!(link.address(), address);
    assert_eq!(reaches(&link, open), [true; 3]);
    assert!(instance.recycle(link).is_none());
    for touch in
        [(|| UdpSocket::bind("127.0.0.1:0")?.send_to(b"?", "127.0.0.1:9")) as fn() -> io::Result<usize>, || {
            UdpSocket::bind("0.0.0.0:0")?.send_to(b"?", "203.0.113.1:9")
        }]
    {
        let link = instance.make().unwrap();
        let touched = space::within(link.namespace(), || {
            let _ = touch();
            Ok(())
        })
        .is_ok();
        assert!(touched && instance.recycle(link).is_none());
    }
    // What lives in one still is no reason to keep it.
    for open in [(|| Ok(TcpListener::bind("0.0.0.0:0")?.into())) as fn() -> io::Result<OwnedFd>, || {
        Ok(UdpSocket::bind("0.0.0.0:0")?.into())
    }] {
        let link = instance.make().unwrap();
        let socket = space::within(link.namespace(), open).unwrap();
        assert!(instance.recycle(link).is_none());
        drop(socket);
    }
}

#[test]
fn guests_live_on_when_the_helper_ends_and_the_rest_is_taken_back() {
    let open = some(203, 0);
    let _neighbour = Neighbour::new(&[open]);
    let mut instance = Fixture::prepared(&settings(&[]));
    let (link, lost) = (instance.make().unwrap(), instance.make().unwrap());
    let mut process = resident(&link);
    let pid = process.id() as libc::pid_t;
    instance.set_egress(&link, Egress::Closed).unwrap();
    let (address, other) = (link.address(), lost.address());
    instance.reopen();
    // The rules didn't go with the helper, nor did which guests are closed.
    assert_eq!(reaches(&link, open), [false; 3]);
    let adopted = instance.adopt(address, pid, Egress::Closed).unwrap();
    assert!(instance.adopt(address, pid, Egress::Open).is_err());
    assert!(instance.adopt(other, std::process::id() as libc::pid_t, Egress::Open).is_err());
    instance.keep_only(&[address]).unwrap();
    instance.prepare(&settings(&[])).unwrap();
    assert_eq!(reaches(&lost, open), [false; 3]);
    instance.set_egress(&adopted, Egress::Open).unwrap();
    assert_eq!(reaches(&adopted, open), [true; 3]);

    // Even where somebody took the router away.
    instance.network = None;
    unpin(&instance.root);
    instance.reopen();
    let again = instance.adopt(address, pid, Egress::Closed).unwrap();
    instance.prepare(&settings(&[])).unwrap();
    assert_eq!(reaches(&again, open), [false; 3]);
    instance.set_egress(&again, Egress::Open).unwrap();
    assert_eq!(reaches(&again, open), [true; 3]);
    process.kill().unwrap();
    process.wait().unwrap();
}

#[test]
fn what_others_remove_is_made_anew() {
    let open = some(203, 0);
    let _neighbour = Neighbour::new(&[open, some(10, 201)]);
    let instance = Fixture::prepared(&settings(&[]));
    let link = instance.make().unwrap();
    let closed = "ip daddr @closed";
    let whole = || nft::list(&instance.names.table, None).unwrap().contains(closed);
    assert!(whole());
    nft::apply(&format!("flush chain inet {} outwards\n", instance.names.table), None).unwrap();
    uplink::remove(&instance.names);
    assert!(!whole() && reaches(&link, open) == [false; 3]);
    instance.prepare(&settings(&[])).unwrap();
    assert!(whole());
    assert_eq!(reaches(&link, open), [true; 3]);
    nft::apply(&rules::removal_of(&instance.names.table), None).unwrap();
    instance.prepare(&settings(&[])).unwrap();
    assert!(whole());
}

#[test]
fn leaves_nothing_behind() {
    let mut instance = Fixture::prepared(&settings(&[]));
    let (table, uplink) = (instance.names.table.clone(), instance.names.uplink.clone());
    let link = instance.make().unwrap();
    instance.remove(link);
    assert!(Path::new("/sys/class/net").join(&uplink).exists());
    instance.network.take().unwrap().dispose();
    assert!(!Path::new("/sys/class/net").join(&uplink).exists());
    assert_eq!(nft::list(&table, None).unwrap(), "");
    assert_eq!(fs::read_dir(&instance.root).unwrap().count(), 0);
    let said = Command::new("iptables").args(["-w", "5", "-S", "FORWARD"]).output();
    assert!(said.map_or(true, |said| !String::from_utf8_lossy(&said.stdout).contains(&uplink)));
}

fn unpin(root: &Path) {
    let path = std::ffi::CString::new(root.join("router").to_str().unwrap()).unwrap();
    assert_eq!(unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) }, 0);
}
