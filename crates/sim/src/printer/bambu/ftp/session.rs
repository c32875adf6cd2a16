//! One client of the file server: RFC 959, RFC 2428 (EPSV), RFC 3659 (SIZE, MDTM, MLSD), RFC 4217
//! (PBSZ, PROT), in the words of vsftpd, which printers run.

use std::io;
use std::net::IpAddr;

use bytes::Bytes;
use tokio::net::TcpListener;

use super::data::{self, Channel, Failed};
use super::{Control, Server, listing};
use crate::printer::Fault;
use crate::printer::bambu::door::USER;
use crate::printer::bambu::files;
use crate::printer::bambu::own::Own;
use crate::printer::engine::{Engine, Refused};

pub(super) struct Session {
    server: Server,
    control: Control,
    peer: IpAddr,
    user: Option<String>,
    is_in: bool,
    tries: u8,
    /// Without slashes before and after.
    folder: String,
    protected: bool,
    listener: Option<TcpListener>,
    rest: u64,
    from: Option<String>,
}

/// What is said, or that nothing more is to be said.
type Reply = io::Result<Option<String>>;

impl Session {
    pub(super) fn new(server: Server, control: Control, peer: IpAddr) -> Self {
        Self {
            server,
            control,
            peer,
            user: None,
            is_in: false,
            tries: 0,
            folder: String::new(),
            protected: false,
            listener: None,
            rest: 0,
            from: None,
        }
    }

    pub(super) async fn run(mut self) -> io::Result<()> {
        if !self.say("220 (vsFTPd 3.0.3)").await? {
            return self.close().await;
        }
        while let Some(line) = self.control.line().await? {
            let (verb, argument) = line.split_once(' ').unwrap_or((&line, ""));
            let verb = verb.to_ascii_uppercase();
            let Some(reply) = self.command(&verb, argument).await? else { break };
            if !self.say(&reply).await? || verb == "QUIT" || reply.starts_with("421") {
                break;
            }
        }
        self.close().await
    }

    async fn close(&mut self) -> io::Result<()> {
        tokio::io::AsyncWriteExt::shutdown(&mut self.control.stream).await
    }

    async fn say(&mut self, text: &str) -> io::Result<bool> {
        self.control.reply(&self.server.door, text).await
    }

    async fn command(&mut self, verb: &str, argument: &str) -> Reply {
        let reply = match verb {
            "USER" => {
                self.user = Some(argument.to_owned());
                "331 Please specify the password.".to_owned()
            }
            "PASS" => self.pass(argument),
            "QUIT" => "221 Goodbye.".to_owned(),
            "AUTH" => "503 It is TLS already.".to_owned(),
            "FEAT" => FEATURES.to_owned(),
            "PBSZ" => "200 PBSZ set to 0.".to_owned(),
            "PROT" => self.prot(argument),
            _ if !self.is_in => "530 Please login with USER and PASS.".to_owned(),
            "LIST" | "NLST" | "MLSD" => return self.list(verb, argument).await,
            "RETR" => return self.retrieve(argument).await,
            "STOR" | "APPE" => return self.store(argument, verb == "APPE").await,
            "PASV" | "EPSV" => return self.passive(verb).await.map(Some),
            _ => self.simple(verb, argument),
        };
        Ok(Some(reply))
    }

    fn simple(&mut self, verb: &str, argument: &str) -> String {
        let from = self.from.take();
        match verb {
            "SYST" => "215 UNIX Type: L8".to_owned(),
            "NOOP" => "200 NOOP ok.".to_owned(),
            "OPTS" => "200 Always in UTF8 mode.".to_owned(),
            "TYPE" => "200 Switching to Binary mode.".to_owned(),
            "MODE" | "STRU" => "200 It is.".to_owned(),
            "ALLO" => "202 No need.".to_owned(),
            "ABOR" => "225 No transfer to ABOR.".to_owned(),
            "PWD" | "XPWD" => format!("257 \"/{}\" is the current directory", self.folder),
            "REST" => match argument.parse() {
                Ok(rest) => {
                    self.rest = rest;
                    format!("350 Restart position accepted ({rest}).")
                }
                Err(_) => "501 No such position.".to_owned(),
            },
            _ if self.server.door.fault() == Fault::NoStorage => NO_STORAGE.to_owned(),
            "CWD" | "XCWD" => self.change(argument),
            "CDUP" | "XCUP" => self.change(".."),
            "SIZE" | "MDTM" => self.fact(verb, argument),
            "DELE" => self.at(argument, |engine, _, path| {
                let key = files::key(engine, path).ok_or(Refused::NoSuchFile)?;
                engine.remove_file(&key).map(|_| "250 Delete operation successful.".to_owned())
            }),
            "MKD" | "XMKD" => self.at(argument, |engine, own, path| {
                if files::is_folder(engine, own, path) || files::key(engine, path).is_some() {
                    return Err(Refused::WrongState);
                }
                if own.folders.len() >= FOLDERS_MAX {
                    return Err(Refused::Full);
                }
                own.folders.insert(path.to_owned());
                Ok(format!("257 \"/{path}\" created"))
            }),
            "RMD" | "XRMD" => self.at(argument, |engine, own, path| {
                let is_empty = files::list(engine, own, path).is_empty();
                let removed = !path.is_empty() && is_empty && own.folders.remove(path);
                let done = "250 Remove directory operation successful.".to_owned();
                removed.then_some(done).ok_or(Refused::WrongState)
            }),
            "RNFR" => {
                let path = files::resolve(&self.folder, argument);
                let found = path.filter(|path| self.with(|e, _| files::key(e, path).is_some()));
                self.from = found;
                let ready = self.from.is_some();
                (if ready { "350 Ready for RNTO." } else { "550 RNFR command failed." }).to_owned()
            }
            "RNTO" => self.at(argument, |engine, _, path| {
                let key = from.and_then(|from| files::key(engine, &from));
                let file = engine.remove_file(&key.ok_or(Refused::NoSuchFile)?)?;
                engine.put_file(path, file.content)?;
                Ok("250 Rename successful.".to_owned())
            }),
            _ => "500 Unknown command.".to_owned(),
        }
    }

    fn pass(&mut self, code: &str) -> String {
        let is_user = self.user.as_deref() == Some(USER);
        self.is_in = is_user && self.server.door.takes(code.as_bytes());
        if self.is_in {
            return "230 Login successful.".to_owned();
        }
        self.tries += 1;
        let last = self.tries >= TRIES_MAX;
        (if last { "421 Too many tries." } else { "530 Login incorrect." }).to_owned()
    }

    fn prot(&mut self, level: &str) -> String {
        match level {
            "P" => self.protected = true,
            "C" => self.protected = false,
            _ => return "536 Only P and C.".to_owned(),
        }
        format!("200 PROT now {}.", if self.protected { "Private" } else { "Clear" })
    }

    async fn passive(&mut self, verb: &str) -> io::Result<String> {
        let ip = self.server.door.ip();
        let (listener, port) = data::listen(ip).await?;
        self.listener = Some(listener);
        Ok(match (verb, ip) {
            ("PASV", IpAddr::V4(ip)) => {
                let [a, b, c, d] = ip.octets();
                let (high, low) = (port >> 8, port & 0xFF);
                format!("227 Entering Passive Mode ({a},{b},{c},{d},{high},{low}).")
            }
            ("PASV", IpAddr::V6(_)) => "425 Use EPSV.".to_owned(),
            _ => format!("229 Entering Extended Passive Mode (|||{port}|)"),
        })
    }

    fn change(&mut self, argument: &str) -> String {
        let folder = files::resolve(&self.folder, argument);
        let folder = folder.filter(|folder| self.with(|e, own| files::is_folder(e, own, folder)));
        match folder {
            Some(folder) => {
                self.folder = folder;
                "250 Directory successfully changed.".to_owned()
            }
            None => "550 Failed to change directory.".to_owned(),
        }
    }

    fn fact(&self, verb: &str, argument: &str) -> String {
        self.at(argument, |engine, _, path| {
            let key = files::key(engine, path).ok_or(Refused::NoSuchFile)?;
            let file = engine.files().get(&key).ok_or(Refused::NoSuchFile)?;
            Ok(match verb {
                "SIZE" => format!("213 {}", file.content.len()),
                _ => format!("213 {}", listing::timestamp(file.changed)),
            })
        })
    }

    fn with<T>(&self, look: impl FnOnce(&mut Engine, &mut Own) -> T) -> T {
        let mut own = self.server.bambu.own();
        self.server.door.shared.with(|engine| look(engine, &mut own))
    }

    fn at(
        &self,
        argument: &str,
        act: impl FnOnce(&mut Engine, &mut Own, &str) -> Result<String, Refused>,
    ) -> String {
        let Some(path) = files::resolve(&self.folder, argument) else {
            return "553 Could not create file.".to_owned();
        };
        let reply = match self.with(|engine, own| act(engine, own, &path)) {
            Ok(reply) => return reply,
            Err(Refused::NoSuchFile) => "550 No such file or directory.",
            Err(Refused::Full) => "552 Disk full.",
            Err(Refused::Busy) => "550 It is being printed.",
            Err(Refused::NoStorage) => NO_STORAGE,
            Err(Refused::NoPrint | Refused::WrongState) => "550 Operation failed.",
        };
        reply.to_owned()
    }

    async fn list(&mut self, verb: &str, argument: &str) -> Reply {
        // Some clients put options of ls before it.
        let path = argument.split_once(' ').map_or("", |(_, path)| path);
        let path = if argument.starts_with('-') { path } else { argument };
        let fault = self.server.door.fault();
        let folder = files::resolve(&self.folder, path).unwrap_or_default();
        let text = self.with(|engine, own| {
            let mut entries = files::list(engine, own, &folder);
            if fault == Fault::NoStorage {
                entries.clear();
            }
            match verb {
                "LIST" => listing::long(&entries, engine.now()),
                "NLST" => listing::names(&entries, path.trim_matches('/')),
                _ => listing::facts(&entries),
            }
        });
        let garbled = fault == Fault::Garbled;
        let text = if garbled { Bytes::from_static(BAD_LIST) } else { Bytes::from(text) };
        self.send(text, "150 Here comes the directory listing.", "226 Directory send OK.").await
    }

    async fn retrieve(&mut self, argument: &str) -> Reply {
        if self.server.door.fault() == Fault::NoStorage {
            return Ok(Some(NO_STORAGE.to_owned()));
        }
        let from = usize::try_from(std::mem::take(&mut self.rest)).unwrap_or(usize::MAX);
        let path = files::resolve(&self.folder, argument);
        let content = path.and_then(|path| {
            self.with(|engine, _| {
                let key = files::key(engine, &path)?;
                engine.files().get(&key).map(|file| file.content.clone())
            })
        });
        let Some(content) = content else {
            return Ok(Some("550 Failed to open file.".to_owned()));
        };
        let content = content.slice(from.min(content.len())..);
        let begins = format!("150 Opening BINARY mode data connection ({} bytes).", content.len());
        self.send(content, &begins, "226 Transfer complete.").await
    }

    async fn send(&mut self, content: Bytes, begins: &str, ends: &str) -> Reply {
        let channel = match self.open(begins).await? {
            Ok(channel) => channel,
            Err(reply) => return Ok(reply),
        };
        let half = self.server.door.fault() == Fault::Drops;
        let bytes = if half { content.len() / 2 } else { content.len() };
        let sent = tokio::select! {
            sent = channel.send(&content[..bytes]) => sent,
            () = self.control.gone() => return Ok(None),
        };
        let reply = if sent.is_ok() { ends } else { "426 Failure writing network stream." };
        Ok((!half).then(|| reply.to_owned()))
    }

    async fn store(&mut self, argument: &str, append: bool) -> Reply {
        let rest = std::mem::take(&mut self.rest);
        let fault = self.server.door.fault();
        let path = files::resolve(&self.folder, argument).filter(|path| {
            let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
            !path.is_empty() && self.with(|e, own| files::is_folder(e, own, parent))
        });
        let Some(path) = path.filter(|_| fault != Fault::NoStorage) else {
            return Ok(Some("553 Could not create file.".to_owned()));
        };
        let mut content = self.begun(&path, if append { u64::MAX } else { rest });
        let before = content.len();
        let channel = match self.open("150 Ok to send data.").await? {
            Ok(channel) => channel,
            Err(reply) => return Ok(reply),
        };
        let received = tokio::select! {
            received = channel.receive(&mut content) => received,
            // What came is there, as on a real card.
            () = self.control.gone() => Err(io::ErrorKind::ConnectionAborted.into()),
        };
        let reply = match (fault, received) {
            (Fault::DiskFull, _) => {
                content.truncate(before + (content.len() - before) / 2);
                "552 Disk full."
            }
            (Fault::TruncatesFiles, Ok(())) => {
                content.truncate(before + (content.len() - before) * 9 / 10);
                "226 Transfer complete."
            }
            (_, Ok(())) => "226 Transfer complete.",
            (_, Err(error)) if error.kind() == io::ErrorKind::StorageFull => "552 Disk full.",
            (_, Err(_)) => "426 Failure reading network stream.",
        };
        let stored = self.with(|engine, _| {
            let key = files::key(engine, &path).unwrap_or(path);
            engine.put_file(&key, content.into())
        });
        Ok(Some(if stored.is_ok() { reply } else { "552 Disk full." }.to_owned()))
    }

    /// What is kept of a file when writing begins at `from`.
    fn begun(&self, path: &str, from: u64) -> Vec<u8> {
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        self.with(|engine, _| {
            let file = files::key(engine, path).and_then(|key| engine.files().get(&key));
            file.map_or(Vec::new(), |f| f.content[..from.min(f.content.len())].to_vec())
        })
    }

    /// The data channel, after `begins` was said; or what is said instead.
    async fn open(&mut self, begins: &str) -> io::Result<Result<Channel, Option<String>>> {
        let Some(listener) = self.listener.take() else {
            return Ok(Err(Some("425 Use PORT or PASV first.".to_owned())));
        };
        if !self.say(begins).await? {
            return Ok(Err(None));
        }
        let tls = self.server.door.tls.data.clone();
        let kind = self.server.bambu.own().data;
        let tls = self.protected.then_some(&tls);
        let opened = tokio::select! {
            opened = data::accept(listener, self.peer, tls, kind) => opened,
            () = self.control.gone() => return Ok(Err(None)),
        };
        Ok(opened.map_err(|failed| {
            let reply = match failed {
                Failed::Nobody => "425 Failed to establish connection.",
                Failed::OtherSession => {
                    "522 SSL connection failed; session reuse required: see require_ssl_reuse \
                     option in vsftpd.conf man page"
                }
                Failed::Tls => "522 SSL connection failed.",
            };
            Some(reply.to_owned())
        }))
    }
}

const FEATURES: &str = "211-Features:\r\n EPSV\r\n MDTM\r\n MLST type*;size*;modify*;\r\n PASV\r\n \
                        PBSZ\r\n PROT\r\n REST STREAM\r\n SIZE\r\n UTF8\r\n211 End";
const NO_STORAGE: &str = "550 No storage.";
/// Ways out of the folder, a size that no file has, no text.
const BAD_LIST: &[u8] =
    b"-rw-r--r-- 1 0 0 99999999999999999999 Jan 01 00:00 ../../../etc/passwd\r\n\
    \xFF\xFE\xFF garbage\r\n-rw-r--r-- 1 0 0 -5 Foo 99 99:99 /abs/x.3mf\r\n\
    lrwxrwxrwx 1 0 0 7 Jan 01 00:00 link.3mf -> /etc/shadow\r\ntotal\r\n";
const TRIES_MAX: u8 = 3;
const FOLDERS_MAX: usize = 256;
