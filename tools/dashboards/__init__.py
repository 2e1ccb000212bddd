"""The Grafana dashboards: each panel is said here once, and deploy/grafana/dashboards is made from it."""
