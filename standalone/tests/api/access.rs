//! The endpoint for other machines: TLS and bearer tokens.

use std::time::SystemTime;

use axum::Router;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use weir_standalone::api::{Access, Credentials, Tokens, kubeconfig};
use weir_standalone::pki::Authority;

use crate::support::Server;

async fn client(url: &str, credentials: &Credentials) -> anyhow::Result<Client> {
    let kubeconfig = Kubeconfig::from_yaml(&kubeconfig("x", url, Some(credentials)))?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

fn code<T>(answer: Result<T, kube::Error>) -> u16 {
    match answer {
        Ok(_) => 200,
        Err(kube::Error::Api(status)) => status.code,
        Err(_) => 0,
    }
}

#[tokio::test]
async fn only_those_with_a_token_get_in_and_only_over_tls() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let now = SystemTime::now();
    let ours = Authority::current(None, now)?;
    let issued = ours.issue(&["127.0.0.1".to_owned()], now)?;
    let access = Access::new(&issued.certificate, &issued.key, Tokens::default().with("right", "ann"))?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (api, stop) = (server.api.clone(), CancellationToken::new());
    let serving = {
        let stop = stop.clone();
        tokio::spawn(async move { api.serve(listener, Some(access), Router::new(), stop).await })
    };
    // Neither says a word: the handshake of neither may hold up the others.
    let silent = (TcpStream::connect(address).await?, TcpStream::connect(address).await?);

    let url = format!("https://{address}");
    let authority = Some(ours.certificate.clone());
    let right = Credentials { authority: authority.clone(), token: "right".to_owned() };
    let ann = client(&url, &right).await?;
    let review = serde_json::json!({"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"});
    let request = http::Request::post("/apis/authentication.k8s.io/v1/selfsubjectreviews");
    let answer: serde_json::Value = ann.request(request.body(review.to_string().into_bytes())?).await?;
    assert_eq!(answer["status"]["userInfo"]["username"], "ann");

    let wrong = client(&url, &Credentials { token: "wrong".to_owned(), ..right.clone() }).await?;
    assert_eq!(code(wrong.list_api_groups().await), 401);
    // Who trusts another authority does not even ask.
    let other = Authority::current(None, now)?;
    let stranger = client(&url, &Credentials { authority: Some(other.certificate), ..right }).await?;
    assert_eq!(code(stranger.list_api_groups().await), 0);

    let authority = reqwest::Certificate::from_pem(ours.certificate.as_bytes())?;
    let anyone = reqwest::Client::builder().tls_certs_only([authority]).build()?;
    let status = async |path: &str| anyhow::Ok(anyone.get(format!("{url}{path}")).send().await?.status().as_u16());
    assert_eq!(status("/version").await?, 200);
    assert_eq!(status("/api/v1/secrets").await?, 401);
    assert_eq!(status("/nonsense").await?, 401);
    drop(silent);
    stop.cancel();
    serving.await??;
    Ok(())
}
