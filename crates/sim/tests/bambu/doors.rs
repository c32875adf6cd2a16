//! Clients of the test's own: TLS without doubts, MQTT by packets, FTP by lines.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::BytesMut;
use rumqttc::mqttbytes::v4::{
    Connect, ConnectReturnCode, Packet, Publish, Subscribe, SubscribeReasonCode,
};
use rumqttc::mqttbytes::{Error, QoS};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use serde_json::{Value, json};
use sim::printer::Spec;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Takes every certificate; who is who is tested elsewhere.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &ring::default_provider().signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &ring::default_provider().signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// Connections made with one connector continue each other's sessions.
pub(crate) fn connector() -> TlsConnector {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

pub(crate) async fn tls(
    connector: &TlsConnector,
    ip: IpAddr,
    port: u16,
) -> io::Result<TlsStream<TcpStream>> {
    let tcp = TcpStream::connect(SocketAddr::new(ip, port)).await?;
    connector.connect(ServerName::try_from("printer").unwrap(), tcp).await
}

/// An MQTT client.
pub(crate) struct Mqtt {
    stream: TlsStream<TcpStream>,
    buffer: BytesMut,
    serial_number: String,
}

impl Mqtt {
    /// With the right name and code, hearing reports.
    pub(crate) async fn of(spec: &Spec) -> Self {
        let mut client = Self::connect(spec, "", &spec.secret, 60).await.unwrap().unwrap();
        assert_eq!(client.subscribe("device/+/report").await, [SUCCESS]);
        client
    }

    pub(crate) async fn connect(
        spec: &Spec,
        client_id: &str,
        code: &str,
        keep_alive: u16,
    ) -> io::Result<Result<Self, ConnectReturnCode>> {
        let stream = tls(&connector(), spec.ip, spec.port).await?;
        let serial_number = spec.serial_number.clone();
        let mut client = Self { stream, buffer: BytesMut::new(), serial_number };
        let mut connect = Connect::new(client_id);
        connect.keep_alive = keep_alive;
        connect.set_credentials("bblp", code.to_owned());
        client.send(&Packet::Connect(connect)).await?;
        match client.packet().await? {
            Packet::ConnAck(ack) if ack.code == ConnectReturnCode::Success => Ok(Ok(client)),
            Packet::ConnAck(ack) => Ok(Err(ack.code)),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn send(&mut self, packet: &Packet) -> io::Result<()> {
        let mut bytes = BytesMut::new();
        packet.write(&mut bytes, usize::MAX).unwrap();
        self.stream.write_all(&bytes).await?;
        self.stream.flush().await
    }

    pub(crate) async fn packet(&mut self) -> io::Result<Packet> {
        loop {
            match Packet::read(&mut self.buffer, 4 * 1024 * 1024) {
                Ok(packet) => return Ok(packet),
                Err(Error::InsufficientBytes(_)) => {}
                Err(other) => return Err(io::Error::other(other)),
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    pub(crate) async fn subscribe(&mut self, filter: &str) -> Vec<SubscribeReasonCode> {
        let mut subscribe = Subscribe::new(filter, QoS::AtLeastOnce);
        subscribe.pkid = 9;
        self.send(&Packet::Subscribe(subscribe)).await.unwrap();
        loop {
            if let Packet::SubAck(ack) = self.packet().await.unwrap() {
                assert_eq!(ack.pkid, 9);
                return ack.return_codes;
            }
        }
    }

    pub(crate) async fn ask(&mut self, request: &Value) {
        let topic = format!("device/{}/request", self.serial_number);
        let publish = Publish::new(topic, QoS::AtMostOnce, request.to_string());
        self.send(&Packet::Publish(publish)).await.unwrap();
    }

    pub(crate) async fn print(&mut self, command: &str, rest: &Value) -> Value {
        let mut request = json!({"sequence_id": "17", "command": command});
        request.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        self.ask(&json!({ "print": request })).await;
        self.until(|m| m["print"]["command"] == command).await["print"].clone()
    }

    /// The next message's bytes.
    pub(crate) async fn heard(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Packet::Publish(publish) = self.packet().await? {
                assert_eq!(publish.topic, format!("device/{}/report", self.serial_number));
                return Ok(publish.payload.to_vec());
            }
        }
    }

    pub(crate) async fn message(&mut self) -> Value {
        serde_json::from_slice(&self.heard().await.unwrap()).unwrap()
    }

    pub(crate) async fn until(&mut self, is_it: impl Fn(&Value) -> bool) -> Value {
        loop {
            let message = self.message().await;
            if is_it(&message) {
                return message;
            }
        }
    }

    pub(crate) async fn whole(&mut self) -> Value {
        self.ask(&json!({"pushing": {"sequence_id": "0", "command": "pushall"}})).await;
        self.until(|m| m["print"]["msg"] == 0).await["print"].clone()
    }
}

/// An FTP client.
pub(crate) struct Ftp {
    connector: TlsConnector,
    stream: TlsStream<TcpStream>,
    buffer: Vec<u8>,
    ip: IpAddr,
    protected: bool,
}

impl Ftp {
    pub(crate) async fn of(spec: &Spec) -> Self {
        let mut ftp = Self::connect(spec).await;
        ftp.expect("USER bblp", "331").await;
        ftp.expect(&format!("PASS {}", spec.secret), "230").await;
        ftp.expect("PBSZ 0", "200").await;
        ftp.expect("PROT P", "200").await;
        ftp.expect("TYPE I", "200").await;
        ftp
    }

    pub(crate) async fn connect(spec: &Spec) -> Self {
        let connector = connector();
        let stream = tls(&connector, spec.ip, spec.files_port).await.unwrap();
        let (buffer, ip) = (Vec::new(), spec.ip);
        let mut ftp = Self { connector, stream, buffer, ip, protected: true };
        assert!(ftp.reply().await.unwrap().starts_with("220 "));
        ftp
    }

    /// Without protection from here on.
    pub(crate) async fn clear(&mut self) {
        self.expect("PROT C", "200").await;
        self.protected = false;
    }

    /// Data channels begin sessions of their own.
    pub(crate) fn forget(&mut self) {
        self.connector = connector();
    }

    pub(crate) async fn expect(&mut self, command: &str, code: &str) -> String {
        let reply = self.say(command).await.unwrap();
        assert!(reply.starts_with(code), "{command}: {reply}");
        reply
    }

    pub(crate) async fn say(&mut self, command: &str) -> io::Result<String> {
        self.stream.write_all(format!("{command}\r\n").as_bytes()).await?;
        self.stream.flush().await?;
        self.reply().await
    }

    /// The last line of a reply.
    pub(crate) async fn reply(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                let line = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
                self.buffer.drain(..end + 2);
                if line.as_bytes().get(3) == Some(&b' ') && !line.starts_with(' ') {
                    return Ok(line);
                }
            } else if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Where the next data channel is to be opened.
    pub(crate) async fn place(&mut self) -> u16 {
        let reply = self.expect("EPSV", "229").await;
        reply.split('|').nth(3).unwrap().parse().unwrap()
    }

    pub(crate) async fn get(&mut self, command: &str) -> (Vec<u8>, String) {
        let port = self.place().await;
        self.expect(command, "150").await;
        let mut content = Vec::new();
        let tcp = TcpStream::connect(SocketAddr::new(self.ip, port)).await.unwrap();
        let mut data = Data::new(self, tcp).await.unwrap();
        // What was cut off is noticed by the reply.
        let _ = data.read_to_end(&mut content).await;
        let reply = self.reply().await.unwrap_or_default();
        (content, reply)
    }

    pub(crate) async fn put(&mut self, command: &str, content: &[u8]) -> String {
        let port = self.place().await;
        self.expect(command, "150").await;
        let tcp = TcpStream::connect(SocketAddr::new(self.ip, port)).await.unwrap();
        match Data::new(self, tcp).await {
            Ok(mut data) => {
                // The server may refuse the channel after the handshake.
                let _ = data.write_all(content).await;
                let _ = data.end().await;
            }
            Err(error) => panic!("{error}"),
        }
        self.reply().await.unwrap()
    }
}

enum Data {
    Clear(TcpStream),
    Protected(Box<TlsStream<TcpStream>>),
}

impl Data {
    async fn new(ftp: &Ftp, tcp: TcpStream) -> io::Result<Self> {
        if !ftp.protected {
            return Ok(Self::Clear(tcp));
        }
        let name = ServerName::try_from("printer").unwrap();
        Ok(Self::Protected(Box::new(ftp.connector.connect(name, tcp).await?)))
    }
    async fn read_to_end(&mut self, content: &mut Vec<u8>) -> io::Result<usize> {
        match self {
            Self::Clear(stream) => stream.read_to_end(content).await,
            Self::Protected(stream) => stream.read_to_end(content).await,
        }
    }
    async fn write_all(&mut self, content: &[u8]) -> io::Result<()> {
        match self {
            Self::Clear(stream) => stream.write_all(content).await,
            Self::Protected(stream) => stream.write_all(content).await,
        }
    }
    /// Without a farewell, as clients of printers do.
    async fn end(&mut self) -> io::Result<()> {
        match self {
            Self::Clear(stream) => stream.shutdown().await,
            Self::Protected(stream) => {
                stream.flush().await?;
                stream.get_mut().0.shutdown().await
            }
        }
    }
}

pub(crate) const SUCCESS: SubscribeReasonCode = SubscribeReasonCode::Success(QoS::AtMostOnce);
