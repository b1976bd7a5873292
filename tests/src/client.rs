//! An SMTP client that says exactly what it is told, for conversations that no library would hold.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use base64::Engine;

use crate::tls::Authority;
use crate::wire::{Reply, Stream, Wire, stuff};

/// A conversation with a server.
pub struct Client {
    wire: Wire<Box<dyn Stream>>,
}

impl Client {
    /// Connects and reads the greeting.
    pub fn connect(server: SocketAddr) -> io::Result<Self> {
        let mut client = Self::connect_silent(server)?;
        client.expect_reply(220)?;
        Ok(client)
    }

    /// Connects and reads nothing.
    pub fn connect_silent(server: SocketAddr) -> io::Result<Self> {
        let socket = TcpStream::connect_timeout(&server, Duration::from_secs(5))?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Self { wire: Wire::new(Box::new(socket)) })
    }

    /// Connects, greets and signs in by AUTH PLAIN.
    pub fn signed_in(server: SocketAddr, user: &str, secret: &str) -> io::Result<Self> {
        let mut client = Self::connect(server)?;
        client.expect("EHLO client.example", 250)?;
        client.auth_plain(user, secret)?;
        Ok(client)
    }

    /// Sends a command and reads its reply.
    pub fn command(&mut self, command: &str) -> io::Result<Reply> {
        self.wire.send(format!("{command}\r\n").as_bytes())?;
        self.wire.reply()
    }

    /// Sends a command whose reply must have this code.
    pub fn expect(&mut self, command: &str, code: u16) -> io::Result<Reply> {
        let reply = self.command(command)?;
        if reply.code == code {
            return Ok(reply);
        }
        Err(io::Error::other(format!("{command:?} was answered {} {}, not {code}", reply.code, reply.text())))
    }

    /// Reads a reply that must have this code.
    pub fn expect_reply(&mut self, code: u16) -> io::Result<Reply> {
        let reply = self.wire.reply()?;
        if reply.code == code { Ok(reply) } else { Err(io::Error::other(format!("{} {}", reply.code, reply.text()))) }
    }

    /// Sends octets as they are.
    pub fn raw(&mut self, octets: &[u8]) -> io::Result<()> {
        self.wire.send(octets)
    }

    /// Reads one reply.
    pub fn reply(&mut self) -> io::Result<Reply> {
        self.wire.reply()
    }

    /// Signs in.
    pub fn auth_plain(&mut self, user: &str, secret: &str) -> io::Result<Reply> {
        let token = base64::engine::general_purpose::STANDARD.encode(format!("\0{user}\0{secret}"));
        self.expect(&format!("AUTH PLAIN {token}"), 235)
    }

    /// Upgrades to TLS by STARTTLS; EHLO is to be said again afterwards.
    pub fn starttls(mut self, authority: &Authority, name: &str) -> io::Result<Self> {
        self.expect("STARTTLS", 220)?;
        self.handshake(authority, name)
    }

    /// Does the TLS handshake at once.
    pub fn handshake(self, authority: &Authority, name: &str) -> io::Result<Self> {
        let tls = authority.connect(self.wire.into_stream(), name)?;
        Ok(Self { wire: Wire::new(Box::new(tls)) })
    }

    /// One transaction by DATA; the final reply, or the first refusal. `message` is dot-stuffed here.
    pub fn send(&mut self, from: &str, to: &[&str], message: &[u8]) -> io::Result<Reply> {
        let mut commands = vec![format!("MAIL FROM:<{from}>")];
        commands.extend(to.iter().map(|address| format!("RCPT TO:<{address}>")));
        for command in commands {
            let reply = self.command(&command)?;
            if reply.code != 250 {
                return Ok(reply);
            }
        }
        let reply = self.command("DATA")?;
        if reply.code != 354 {
            return Ok(reply);
        }
        self.wire.send(&stuff(message))?;
        self.wire.reply()
    }
}
