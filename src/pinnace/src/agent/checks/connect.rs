//! Connections to containers. Certificates are not checked, as by the kubelet: a probe asks whether there is an
//! answer, not whose it is.

use std::io;
use std::sync::Arc;

use pinnace_core::ports::chain;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A container that cannot be connected to.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No connection.
    #[error("dial tcp {to}")]
    Tcp {
        /// Host and port.
        to: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No TLS on it.
    #[error("tls: handshake with {to}")]
    Handshake {
        /// Host and port.
        to: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// TLS is not to be had at all.
    #[error("set up TLS")]
    Tls(#[source] rustls::Error),
    /// The host is neither an address nor a name.
    #[error("tls: {0:?} is no name of a host")]
    Name(String),
}

/// TLS with whoever answers.
#[derive(Clone)]
pub struct Tls(TlsConnector);

/// A connection, encrypted or not.
pub trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// Takes every certificate.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
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
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let mut schemes = self.0.signature_verification_algorithms.supported_schemes();
        schemes.extend([SignatureScheme::ECDSA_NISTP521_SHA512, SignatureScheme::ED448]);
        schemes
    }
}

/// TLS that takes every certificate.
pub fn unchecked_tls() -> Result<Tls, ConnectError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(ConnectError::Tls)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone(provider)))
        .with_no_client_auth();
    Ok(Tls(TlsConnector::from(Arc::new(config))))
}

/// Connects; the names of hosts are the node's.
pub async fn tcp(host: &str, port: u16) -> Result<TcpStream, ConnectError> {
    let connected = TcpStream::connect((host, port)).await;
    connected.map_err(|source| ConnectError::Tcp {
        to: authority(host, port),
        source,
    })
}

/// Connects, and encrypts.
pub async fn tls(tls: &Tls, host: &str, port: u16) -> Result<Box<dyn Connection>, ConnectError> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| ConnectError::Name(host.to_owned()))?;
    let stream = tcp(host, port).await?;
    let stream = tls.0.connect(name, stream).await;
    let stream = stream.map_err(|source| ConnectError::Handshake {
        to: authority(host, port),
        source,
    })?;
    Ok(Box::new(stream))
}

/// `host:port`, an IPv6 address in brackets.
pub fn authority(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// An error and its causes in one line, short.
pub fn text(error: &dyn std::error::Error) -> String {
    chain(error).chars().take(1024).collect()
}
