//! Which API a client command speaks to.

use std::path::PathBuf;

use kube::config::{KubeConfigOptions, Kubeconfig};

use super::Invocation;
use crate::client::Client;
use crate::failure::{Exit, Failure, OrFail, Outcome};

/// Flags of every command that speaks to the API.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct Connect {
    /// Address of the API: http://127.0.0.1:7080
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// Kubeconfig file [$KUBECONFIG, then kubeconfig in the data directory]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Namespace [of the context, else default]
    #[arg(short, long)]
    namespace: Option<String>,
}

/// An open connection and the namespace commands work in.
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) namespace: String,
}

impl Connect {
    /// Prepares the connection; nothing is sent yet.
    pub(crate) async fn open(&self, invocation: &Invocation) -> Outcome<Session> {
        let mut config = self.config(invocation).await?;
        // Whoever asks hears at once what the server says; commands that wait look again themselves.
        config.default_retry = false;
        let namespace = self.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let kube = kube::Client::try_from(config).or_fail(Exit::Failure, || format!("cannot speak to {server}"))?;
        Ok(Session { client: Client::new(kube, server), namespace })
    }

    async fn config(&self, invocation: &Invocation) -> Outcome<kube::Config> {
        let server = self.server.as_ref().or_else(|| invocation.environment.get("WEIR_SERVER"));
        if let Some(server) = server {
            let url = server.parse::<http::Uri>().ok().filter(|url| url.scheme().is_some() && url.host().is_some());
            let url = url.ok_or_else(|| {
                Failure::text(Exit::Usage, format!("{server:?} is no URL such as http://127.0.0.1:7080"))
            })?;
            return Ok(kube::Config::new(url));
        }
        let kubeconfig = self.kubeconfig(invocation)?;
        let options = KubeConfigOptions { context: self.context.clone(), ..KubeConfigOptions::default() };
        kube::Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .or_fail(Exit::Usage, || "cannot use the kubeconfig".to_owned())
    }

    fn kubeconfig(&self, invocation: &Invocation) -> Outcome<Kubeconfig> {
        let read = |path: &PathBuf| {
            Kubeconfig::read_from(path).or_fail(Exit::Usage, || format!("cannot read kubeconfig {}", path.display()))
        };
        if let Some(path) = &self.kubeconfig {
            return read(path);
        }
        if let Some(list) = invocation.environment.get("KUBECONFIG").filter(|list| !list.is_empty()) {
            let files = std::env::split_paths(list).filter(|path| path.exists());
            let merged = files.map(|path| read(&path)).reduce(|merged, next| {
                merged?.merge(next?).or_fail(Exit::Usage, || format!("cannot merge the files of KUBECONFIG={list}"))
            });
            return merged
                .unwrap_or_else(|| Err(Failure::text(Exit::Usage, format!("no file of KUBECONFIG={list} exists"))));
        }
        let path = invocation.settings()?.data_dir.join("kubeconfig");
        if path.exists() {
            return read(&path);
        }
        Err(Failure::text(Exit::Unavailable, format!("no server to speak to: {} does not exist", path.display()))
            .next("start `weir run`, or name a server with --server or KUBECONFIG"))
    }
}
