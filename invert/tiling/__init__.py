"""Pictures without end: a point is rendered window by window, each as it is in the whole."""
