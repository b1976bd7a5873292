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
use crate::config::{Delivery, DomainPattern, Route, Site};
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
        match_mx: vec![DomainPattern::Below("there.example".parse().unwrap())],
        match_domain: Vec::new(),
        connections: Some(3),
        messages_per_connection: Some(2),
        rate: Some(5.0),
        tls: None,
    };
    let server = Server::new(vec![Script::default()]);
    let courier = courier_for(Delivery { sites: vec![site], ..delivery() }, &[Arc::clone(&server)], 64 * 1024);
    let destination = courier.destination(&"there.example".parse().unwrap());
    assert_eq!(courier.limits_for(&destination).connections, 10, "its MX hosts are not known yet");
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
