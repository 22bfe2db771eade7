//! Asking the kernel of a namespace over rtnetlink.

use anyhow::{Context, Result};
use rtnetlink::Handle;

use crate::Namespace;

/// Opens a netlink connection inside `namespace` and runs `work` on it to the end.
///
/// The runtime lives and dies with the thread that entered the namespace, so no worker thread
/// ever changes its namespace.
///
/// # Errors
/// When the connection cannot be opened, or as `work` fails.
pub fn with_netlink<T: Send>(
    namespace: &Namespace,
    work: impl AsyncFnOnce(Handle) -> Result<T> + Send,
) -> Result<T> {
    namespace.run(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .context("start a runtime for netlink")?;
        runtime.block_on(async {
            let (connection, handle, _) = rtnetlink::new_connection()
                .with_context(|| format!("open netlink in {}", namespace.name()))?;
            // Ends with the runtime.
            tokio::spawn(connection);
            work(handle).await
        })
    })
}
