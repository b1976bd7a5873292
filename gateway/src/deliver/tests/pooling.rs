//! Links that serve more than one letter, routes, limits, explanations, and the cost of the hot path.

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use super::server::{Script, Server, StartTls};
use super::{courier, courier_for, deliver_one, delivery, name, transaction, with};
use crate::config::{Delivery, DomainPattern, Egress, Route, Site};
use crate::deliver::shaping::built_in_sites;
use crate::deliver::{Courier, Dialer, Stream, TcpDialer};
use crate::resolver::StaticResolver;
use crate::sign::TlsLevel;

#[tokio::test(start_paused = true)]
async fn a_reused_link_that_turns_us_away_costs_nothing() {
    for reply in ["421 4.4.2 idle too long", "503 5.5.1 no"] {
        let server = Server::new(vec![with(|s| s.mail_again = reply), Script::default()]);
        let courier = courier(&[Arc::clone(&server)]);
        for _ in 0..3 {
            assert_eq!(name(&deliver_one(&courier).await), "delivered", "{reply}");
        }
        assert_eq!(server.connections(), 2);
        assert_eq!(server.taken.lock().len(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn idle_links_end_after_fifteen_seconds() {
    let server = Server::new(vec![Script::default()]);
    let courier = courier(&[Arc::clone(&server)]);
    deliver_one(&courier).await;
    assert_eq!(courier.idle_connections(), 1);
    tokio::time::sleep(Duration::from_secs(10)).await;
    deliver_one(&courier).await;
    assert_eq!(server.connections(), 1);
    tokio::time::sleep(Duration::from_secs(21)).await;
    assert_eq!(courier.idle_connections(), 0);
    assert_eq!(server.commands().last().unwrap(), "QUIT");
    deliver_one(&courier).await;
    assert_eq!(server.connections(), 2);
    courier.close_idle().await;
    assert_eq!(courier.idle_connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_link_serves_only_so_many_letters() {
    let site = Site {
        name: "there".into(),
        together: true,
        match_mx: vec![DomainPattern::Below("there.example".parse().unwrap())],
        match_domain: Vec::new(),
        connections: Some(3),
        messages_per_connection: Some(2),
        rate: Some(5.0),
        tls: None,
    };
    let server = Server::new(vec![Script::default()]);
    let courier = courier_for(Delivery { sites: vec![site], ..delivery() }, &[Arc::clone(&server)], 64 * 1024);
    let domain = "there.example".parse().unwrap();
    let destination = courier.destination(&domain);
    assert_eq!((destination.lane(), &destination.site), ("there.example", &None));
    assert_eq!(courier.limits_for(&destination).connections, 1, "its MX hosts are not known yet");
    let destination = courier.locate(&domain).await;
    assert_eq!(destination.lane(), "group/there");
    assert_eq!(courier.destination(&domain), destination, "known from now on");
    for _ in 0..4 {
        deliver_one(&courier).await;
    }
    assert_eq!(server.connections(), 2);
    let limits = courier.limits_for(&destination);
    assert_eq!((limits.connections, limits.messages_per_connection, limits.rate), (3, 2, Some(5.0)));
}

fn routed() -> Delivery {
    let route = |domain, host: &str, tls| Route { domain, host: host.into(), port: 2526, tls };
    let below = DomainPattern::Below("test".parse().unwrap());
    let exact = DomainPattern::Exact("slow.test".parse().unwrap());
    Delivery {
        routes: vec![
            route(below, "127.0.0.1", None),
            route(DomainPattern::Exact("partner.example".parse().unwrap()), "127.0.0.1", Some(TlsLevel::Require)),
        ],
        sites: vec![Site {
            name: "slow.test".into(),
            together: true,
            match_mx: Vec::new(),
            match_domain: vec![exact],
            connections: Some(1),
            messages_per_connection: None,
            rate: Some(0.5),
            tls: None,
        }],
        ..delivery()
    }
}

/// Two TLS levels cannot share a link, and the site allows one connection: the idle one is closed first.
#[tokio::test(start_paused = true)]
async fn an_idle_link_of_another_policy_counts_against_the_sites_limit() {
    let server = Server::new(vec![with(|s| s.starttls = StartTls::Works)]);
    server.certify("mx1.there.example");
    let courier =
        courier_for(Delivery { connections_per_destination: 1, ..delivery() }, &[Arc::clone(&server)], 64 * 1024);
    deliver_one(&courier).await;
    let mut stricter = transaction(&courier, &["ann@there.example"]);
    stricter.tls = TlsLevel::Require;
    assert_eq!(name(&courier.deliver(&stricter).await[0]), "delivered");
    assert_eq!((server.connections(), courier.idle_connections()), (2, 1));
}

#[tokio::test]
async fn destinations_follow_routes_and_sites() {
    let courier = Courier::of_parts(
        routed(),
        Vec::new(),
        25,
        Arc::new(StaticResolver::new().with_mx("null.example", 0, ".")),
        Arc::new(TcpDialer),
    );
    let key = |domain: &str| courier.destination(&domain.parse().unwrap()).key;
    assert_eq!(key("a.test"), key("b.test"), "one route, one destination");
    assert_ne!(key("a.test"), key("slow.test"), "but not where a site makes rules of its own");
    assert_ne!(key("a.test"), key("partner.example"));
    assert_eq!(key("there.example"), "there.example");
    let slow = courier.limits_for(&courier.destination(&"slow.test".parse().unwrap()));
    assert_eq!((slow.connections, slow.rate), (1, Some(0.5)));

    let routed = courier.explain(&"x@partner.example".parse().unwrap()).await;
    assert_eq!(routed.route.as_deref(), Some("127.0.0.1:2526"));
    assert_eq!(routed.targets, ["127.0.0.1:2526"]);
    assert_eq!(routed.tls.unwrap().level, TlsLevel::Require);
    let null = courier.explain(&"x@null.example".parse().unwrap()).await;
    let problem = serde_json::to_value(null).unwrap()["problem"].clone();
    assert_eq!((problem["status"].as_str(), problem["permanent"].as_bool()), (Some("5.1.10"), Some(true)));
}

/// Domains with the same MX hosts are one site, in whatever order DNS tells them; a group is one whatever its hosts.
#[tokio::test]
async fn destinations_are_grouped_by_their_mx_hosts() {
    let mut dns = StaticResolver::new();
    for host in ["mx1.shared.example", "mx2.shared.example"] {
        for domain in ["a.example", "b.example"] {
            dns = dns.with_mx(domain, 10, host);
        }
    }
    for n in 0..9 {
        dns = dns.with_mx("many.example", 10, &format!("mx{n}.many.example"));
    }
    dns = dns.with_mx("gmail.example", 5, "gmail-smtp-in.l.google.com");
    dns = dns.with_mx("workspace.example", 1, "aspmx.l.google.com").with_mx("null.example", 0, ".");
    dns = dns.with_mx("mine.example", 1, "aspmx.l.google.com").with_mx("c.example", 10, "mx1.shared.example");
    let site = |name: &str, together, connections| Site {
        name: name.into(),
        together,
        match_mx: Vec::new(),
        match_domain: vec![DomainPattern::Exact("mine.example".parse().unwrap())],
        connections: Some(connections),
        messages_per_connection: None,
        rate: None,
        tls: None,
    };
    let sites = [vec![site("mine", false, 2)], built_in_sites()].concat();
    let courier =
        Courier::of_parts(Delivery { sites, ..delivery() }, Vec::new(), 25, Arc::new(dns), Arc::new(TcpDialer));
    let lane = async |domain: &str| courier.locate(&domain.parse().unwrap()).await.lane().to_owned();
    assert_eq!(lane("a.example").await, "mx/mx1.shared.example,mx2.shared.example");
    assert_eq!(lane("a.example").await, lane("b.example").await);
    assert_eq!(lane("c.example").await, "mx/mx1.shared.example");
    let many = lane("many.example").await;
    assert_eq!(many.split(',').count(), 9, "all hosts name the site, not the five that chance tries: {many}");
    assert_eq!(
        (lane("gmail.example").await, lane("workspace.example").await),
        ("group/google".into(), "group/google".into())
    );
    assert_eq!(lane("mine.example").await, "mx/aspmx.l.google.com (mine)");
    assert_eq!(lane("null.example").await, "null.example", "without hosts there is no site");
    let limits = |domain: &str| courier.limits_for(&courier.destination(&domain.parse().unwrap()));
    assert_eq!((limits("gmail.example").connections, limits("gmail.example").messages_per_connection), (10, 50));
    assert_eq!(limits("mine.example").connections, 2, "the operator's word goes first");
}

/// Counts what would be system calls.
struct Counted {
    stream: TcpStream,
    writes: Arc<AtomicUsize>,
    reads: Arc<AtomicUsize>,
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.reads.fetch_add(usize::from(polled.is_ready()), Ordering::SeqCst);
        polled
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        Pin::new(&mut self.stream).poll_write(cx, octets)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[derive(Default)]
struct CountingDialer {
    writes: Arc<AtomicUsize>,
    reads: Arc<AtomicUsize>,
}

#[async_trait]
impl Dialer for CountingDialer {
    async fn dial(&self, to: SocketAddr, _source: Option<IpAddr>) -> io::Result<Box<dyn Stream>> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Box::new(Counted { stream, writes: Arc::clone(&self.writes), reads: Arc::clone(&self.reads) }))
    }
}

async fn on_tcp(server: &Arc<Server>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = Arc::clone(server);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            tokio::spawn(Arc::clone(&server).serve(Box::new(stream)));
        }
    });
    port
}

#[tokio::test]
async fn a_letter_on_a_reused_link_is_one_write() {
    let server = Server::new(vec![Script::default()]);
    let port = on_tcp(&server).await;
    let dialer = CountingDialer::default();
    let (writes, reads) = (Arc::clone(&dialer.writes), Arc::clone(&dialer.reads));
    let dns = StaticResolver::new().with_address("there.example", "127.0.0.1".parse().unwrap());
    let courier = Courier::of_parts(delivery(), Vec::new(), port, Arc::new(dns), Arc::new(dialer));
    deliver_one(&courier).await;
    let (writes_before, reads_before) = (writes.load(Ordering::SeqCst), reads.load(Ordering::SeqCst));
    let mut letter = transaction(&courier, &["ann@there.example"]);
    letter.message = b"0123456789abcde\r\n".repeat(240).into();
    assert_eq!(name(&courier.deliver(&letter).await[0]), "delivered");
    assert_eq!(writes.load(Ordering::SeqCst) - writes_before, 1, "RSET is not needed after a success");
    // This server writes its three replies one by one; one read each is the most.
    assert!(reads.load(Ordering::SeqCst) - reads_before <= 3);
    assert_eq!(server.connections(), 1);
}

/// Two pools of source addresses on the loopback: who connects, and what it calls itself, is the tenant's pool's.
#[tokio::test]
async fn letters_leave_from_the_addresses_of_their_pool() {
    let server = Server::new(vec![Script::default()]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let peers = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let (serving, seen) = (Arc::clone(&server), Arc::clone(&peers));
    tokio::spawn(async move {
        while let Ok((stream, peer)) = listener.accept().await {
            seen.lock().push(peer.ip().to_string());
            tokio::spawn(Arc::clone(&serving).serve(Box::new(stream)));
        }
    });
    let egress = |name: &str, address: &str, pool: &str, weight| Egress {
        name: name.into(),
        address: address.parse().unwrap(),
        ehlo: format!("{name}.relay.example").parse().unwrap(),
        pool: pool.into(),
        weight,
        warm_up: None,
    };
    let all = vec![
        egress("a", "127.0.0.2", "default", 2),
        egress("b", "127.0.0.3", "default", 1),
        egress("six", "::1", "vip", 1),
        egress("c", "127.0.0.4", "vip", 1),
    ];
    let dns = StaticResolver::new().with_address("there.example", "127.0.0.1".parse().unwrap());
    let once = Delivery {
        sites: vec![Site {
            name: "there".into(),
            together: true,
            match_mx: Vec::new(),
            match_domain: vec![DomainPattern::Exact("there.example".parse().unwrap())],
            connections: None,
            messages_per_connection: Some(1),
            rate: None,
            tls: None,
        }],
        ..delivery()
    };
    let courier = Courier::of_parts(once, all, port, Arc::new(dns), Arc::new(TcpDialer));
    for _ in 0..3 {
        assert_eq!(name(&deliver_one(&courier).await), "delivered");
    }
    let mut vip = transaction(&courier, &["ann@there.example"]);
    vip.egress_pool = Some("vip".into());
    for _ in 0..2 {
        assert_eq!(name(&courier.deliver(&vip).await[0]), "delivered", "the host has no IPv6 address");
    }
    assert_eq!(*peers.lock(), ["127.0.0.2", "127.0.0.3", "127.0.0.2", "127.0.0.4", "127.0.0.4"]);
    vip.egress_pool = Some("nobody".into());
    let outcome = courier.deliver(&vip).await.remove(0);
    assert_eq!((name(&outcome), outcome.evidence().status), ("try-later", (4, 3, 5)));
    assert!(outcome.evidence().note.contains("\"nobody\" is not configured"), "{outcome:?}");
}

#[tokio::test]
async fn over_real_tcp_with_tls_and_a_dead_link() {
    let server = Server::new(vec![with(|s| s.starttls = StartTls::Works)]);
    server.certify("there.example");
    let port = on_tcp(&server).await;
    let dns = StaticResolver::new().with_address("there.example", "127.0.0.1".parse().unwrap());
    let courier = Courier::of_parts(delivery(), Vec::new(), port, Arc::new(dns), Arc::new(TcpDialer));
    for _ in 0..3 {
        let outcome = deliver_one(&courier).await;
        assert_eq!(name(&outcome), "delivered");
        assert_eq!(outcome.evidence().tls.as_ref().unwrap().version, "TLSv1.3");
    }
    assert_eq!(server.connections(), 1);
}
