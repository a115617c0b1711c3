//! The protocol by hand: start-up parameters and bytes that no driver sends.

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use workos_testbed::Cluster;

use crate::sql::Refusal;

/// Version 3.0 of the protocol.
const VERSION: i32 = 196_608;
/// More than any answer in a test has.
const LONGEST_MESSAGE: usize = 16 << 20;

/// A connection.
pub struct Wire(TcpStream);

/// What the server said to one request.
#[derive(Debug, Default)]
pub struct Answer {
    /// The rows, their columns joined by `|`.
    pub rows: Vec<String>,
    /// Its warnings.
    pub warnings: Vec<Refusal>,
    /// Why it refused.
    pub refusal: Option<Refusal>,
}

impl Wire {
    /// Connects with these parameters in the start-up packet, beside user and database. The connection is of no use
    /// where the answer is a refusal.
    pub async fn connect(
        cluster: &Cluster,
        database: &str,
        user: &str,
        parameters: &[(&str, &[u8])],
    ) -> (Self, Answer) {
        let mut body = VERSION.to_be_bytes().to_vec();
        for (name, value) in [("user", user.as_bytes()), ("database", database.as_bytes())].iter().chain(parameters) {
            body.extend([name.as_bytes(), b"\0", value, b"\0"].concat());
        }
        body.push(0);
        let mut wire = Self(TcpStream::connect((Ipv4Addr::LOCALHOST, cluster.port())).await.unwrap());
        wire.0.write_all(&[&length(&body), body.as_slice()].concat()).await.unwrap();
        let answer = wire.answer().await;
        (wire, answer)
    }

    /// Sends a simple query.
    pub async fn query(&mut self, sql: &[u8]) -> Answer {
        self.0.write_all(&message(b'Q', &[sql, b"\0"].concat())).await.unwrap();
        self.answer().await
    }

    /// Sends all of them at once with one Sync at the end, as drivers do in pipeline mode: one implicit transaction, and
    /// nobody waits for an answer in between.
    pub async fn pipeline(&mut self, statements: &[&str]) -> Answer {
        let mut messages = Vec::new();
        for sql in statements {
            messages.extend(message(b'P', &[b"\0", sql.as_bytes(), b"\0\0\0"].concat()));
            messages.extend(message(b'B', &[0; 8]));
            messages.extend(message(b'E', &[0; 5]));
        }
        messages.extend(message(b'S', b""));
        self.0.write_all(&messages).await.unwrap();
        self.answer().await
    }

    /// Sends a query with one parameter, in text format.
    pub async fn query_with(&mut self, sql: &[u8], parameter: &[u8]) -> Answer {
        let parse = [b"\0", sql, b"\0\0\0"].concat();
        let size = i32::try_from(parameter.len()).unwrap().to_be_bytes();
        // Unnamed portal and statement, no format codes, one parameter, no result format codes.
        let bind = [b"\0\0\0\0\0\x01".as_slice(), &size, parameter, b"\0\0"].concat();
        let messages = [message(b'P', &parse), message(b'B', &bind), message(b'E', b"\0\0\0\0\0"), message(b'S', b"")];
        self.0.write_all(&messages.concat()).await.unwrap();
        self.answer().await
    }

    /// Everything up to the end of the request.
    async fn answer(&mut self) -> Answer {
        let mut answer = Answer::default();
        loop {
            let mut head = [0; 5];
            // A refused connection is closed.
            if self.0.read_exact(&mut head).await.is_err() {
                assert!(answer.refusal.is_some(), "the server hung up: {answer:?}");
                return answer;
            }
            let size = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize - 4;
            assert!(size <= LONGEST_MESSAGE);
            let mut body = vec![0; size];
            self.0.read_exact(&mut body).await.unwrap();
            match head[0] {
                b'Z' => return answer,
                b'D' => answer.rows.push(row(&body)),
                b'E' => answer.refusal = Some(refusal(&body)),
                b'N' => answer.warnings.push(refusal(&body)),
                _ => {}
            }
        }
    }
}

fn length(body: &[u8]) -> [u8; 4] {
    i32::try_from(body.len() + 4).unwrap().to_be_bytes()
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind], length(body).as_slice(), body].concat()
}

/// A DataRow message.
fn row(body: &[u8]) -> String {
    let (mut columns, mut rest) = (Vec::new(), &body[2..]);
    while let Some((size, after)) = rest.split_first_chunk::<4>() {
        match usize::try_from(i32::from_be_bytes(*size)) {
            Ok(size) => {
                columns.push(String::from_utf8_lossy(&after[..size]).into_owned());
                rest = &after[size..];
            }
            Err(_) => {
                columns.push("NULL".to_owned());
                rest = after;
            }
        }
    }
    columns.join("|")
}

/// An ErrorResponse or NoticeResponse message: fields of a letter and a text each.
fn refusal(body: &[u8]) -> Refusal {
    let field = |letter: u8| {
        let found = body.split(|byte| *byte == 0).find(|field| field.first() == Some(&letter));
        found.map(|field| String::from_utf8_lossy(&field[1..]).into_owned()).unwrap_or_default()
    };
    Refusal {
        sqlstate: field(b'C'),
        message: field(b'M'),
        detail: field(b'D'),
        hint: field(b'H'),
        context: field(b'W'),
    }
}
