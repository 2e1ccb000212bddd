"""Tests of what operators rely on: rules, alerts, dashboards."""
