"""Parts of training outside of the component: losses, data, callbacks, logger, batcher."""
