/** The metrics of kube-state-metrics that the dashboards read, with the labels that they use of them. */
export const KUBE_METRICS = {
  kube_deployment_spec_replicas: ['namespace', 'deployment'],
  kube_deployment_status_replicas_ready: ['namespace', 'deployment'],
  kube_horizontalpodautoscaler_spec_max_replicas: ['namespace', 'horizontalpodautoscaler'],
  kube_pod_container_resource_limits: ['namespace', 'pod', 'container', 'resource'],
  kube_pod_container_status_restarts_total: ['namespace', 'pod', 'container'],
  kube_job_status_failed: ['namespace', 'job_name'],
  kube_cronjob_status_last_successful_time: ['namespace', 'cronjob'],
} as const satisfies Readonly<Record<string, readonly string[]>>

export type KubeMetric = keyof typeof KUBE_METRICS
