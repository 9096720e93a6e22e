"""What training needs besides the component: losses, data, callbacks."""
