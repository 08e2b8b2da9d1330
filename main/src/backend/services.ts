/** The services of the console, and under which calls they are reached. */
import type { ConnectRouter } from "@connectrpc/connect";
import { ActivityService } from "@wardline/api/wardline/console/v1/activity";
import { AlertService } from "@wardline/api/wardline/console/v1/alerts";
import { AnomalyService } from "@wardline/api/wardline/console/v1/anomalies";
import { AskService } from "@wardline/api/wardline/console/v1/ask";
import { AuditService } from "@wardline/api/wardline/console/v1/audit";
import { ClusterService } from "@wardline/api/wardline/console/v1/cluster";
import { ConfigurationService } from "@wardline/api/wardline/console/v1/configuration";
import { FleetService } from "@wardline/api/wardline/console/v1/fleet";
import { FlowActionsService } from "@wardline/api/wardline/console/v1/flow_actions";
import { FlowService } from "@wardline/api/wardline/console/v1/flows";
import { HistoryService } from "@wardline/api/wardline/console/v1/history";
import { HostService } from "@wardline/api/wardline/console/v1/hosts";
import { JobService } from "@wardline/api/wardline/console/v1/jobs";
import { MeshService } from "@wardline/api/wardline/console/v1/mesh";
import { NotificationService } from "@wardline/api/wardline/console/v1/notifications";
import { PictureService } from "@wardline/api/wardline/console/v1/picture";
import { PolicyService } from "@wardline/api/wardline/console/v1/policies";
import { RolloutService } from "@wardline/api/wardline/console/v1/rollout";
import { SettingsService } from "@wardline/api/wardline/console/v1/settings";
import { ShipService } from "@wardline/api/wardline/console/v1/ship";
import { SupportService } from "@wardline/api/wardline/console/v1/support";
import { VerdictService } from "@wardline/api/wardline/console/v1/verdicts";
import { VersionService } from "@wardline/api/wardline/console/v1/versions";
import { VocabularyService } from "@wardline/api/wardline/console/v1/vocabulary";
import type { ActivityServiceImpl } from "./activity/activity-service.ts";
import type { AlertServiceImpl } from "./alerts/alert-service.ts";
import type { AnomalyServiceImpl } from "./anomalies/anomaly-service.ts";
import type { AskServiceImpl } from "./ask/ask-service.ts";
import type { AuditServiceImpl } from "./audit/audit-service.ts";
import type { ClusterServiceImpl } from "./cluster/cluster-service.ts";
import type { ConfigurationServiceImpl } from "./configuration/create-configuration.ts";
import type { FleetServiceImpl } from "./fleet/fleet-service.ts";
import type { FlowActionsServiceImpl } from "./flows/actions/flow-actions-service.ts";
import type { FlowServiceImpl } from "./flows/flow-service.ts";
import type { HistoryServiceImpl } from "./history/service/history-service.ts";
import type { HostServiceImpl } from "./hosts/host-service.ts";
import type { JobServiceImpl } from "./jobs/job-service.ts";
import type { AgentLifecycle } from "./lifecycle/agent-lifecycle.ts";
import type { MeshServiceImpl } from "./mesh/mesh-service.ts";
import type { NotificationServiceImpl } from "./notifications/notification-service.ts";
import type { PictureServiceImpl } from "./picture/picture-service.ts";
import type { PolicyServiceImpl } from "./policies/policy-service.ts";
import type { VocabularyServiceImpl } from "./policies/vocabulary-service.ts";
import type { Guard } from "./rpc/guard.ts";
import type { SettingsServiceImpl } from "./settings/settings-service.ts";
import type { RolloutServiceImpl } from "./ship/rollouts/rollout-service.ts";
import type { ShipServiceImpl } from "./ship/ship-service.ts";
import type { VerdictServiceImpl } from "./ship/verdicts/verdict-service.ts";
import type { SupportServiceImpl } from "./support/support-service.ts";
import type { VersionServiceImpl } from "./versions/version-service.ts";

export interface Services {
  readonly flowActions: FlowActionsServiceImpl;
  readonly ask: AskServiceImpl;
  readonly policies: PolicyServiceImpl;
  readonly ship: ShipServiceImpl;
  readonly flows: FlowServiceImpl;
  readonly hosts: HostServiceImpl;
  readonly audit: AuditServiceImpl;
  readonly fleet: FleetServiceImpl;
  readonly jobs: JobServiceImpl;
  readonly activity: ActivityServiceImpl;
  readonly rollouts: RolloutServiceImpl;
  readonly clusters: ClusterServiceImpl;
  readonly anomalies: AnomalyServiceImpl;
  readonly mesh: MeshServiceImpl;
  readonly alerts: AlertServiceImpl;
  readonly versions: VersionServiceImpl;
  readonly configuration: ConfigurationServiceImpl;
  readonly history: HistoryServiceImpl;
  readonly picture: PictureServiceImpl;
  readonly verdicts: VerdictServiceImpl;
  readonly settings: SettingsServiceImpl;
  readonly notifications: NotificationServiceImpl;
  readonly support: SupportServiceImpl;
}

/** What is served beside `Services`: nobody else calls it. */
interface ServedOnly {
  readonly vocabulary: VocabularyServiceImpl;
  readonly lifecycle: AgentLifecycle;
}

/** Registers every service of `wardline.console.v1`, each call under the guard. */
export function routeServices(
  router: ConnectRouter,
  services: Services,
  { vocabulary, lifecycle }: ServedOnly,
  guard: Guard,
): void {
  router.service(AskService, services.ask.routes(guard));
  router.service(FlowActionsService, services.flowActions.routes(guard));
  router.service(PolicyService, services.policies.routes(guard));
  router.service(VocabularyService, vocabulary.routes(guard));
  router.service(ShipService, services.ship.routes(guard));
  router.service(VerdictService, services.verdicts.routes(guard));
  router.service(RolloutService, services.rollouts.routes(guard));
  router.service(FlowService, services.flows.routes(guard));
  router.service(HostService, services.hosts.routes(guard));
  router.service(AuditService, services.audit.routes(guard));
  router.service(FleetService, { ...services.fleet.routes(guard), ...lifecycle.routes(guard) });
  router.service(JobService, services.jobs.routes(guard));
  router.service(ClusterService, services.clusters.routes(guard));
  router.service(HistoryService, services.history.routes(guard));
  router.service(AlertService, services.alerts.routes(guard));
  router.service(AnomalyService, services.anomalies.routes(guard));
  router.service(MeshService, services.mesh.routes(guard));
  router.service(PictureService, services.picture.routes(guard));
  router.service(VersionService, services.versions.routes(guard));
  router.service(ConfigurationService, services.configuration.routes(guard));
  router.service(ActivityService, services.activity.routes(guard));
  router.service(SettingsService, services.settings.routes(guard));
  router.service(NotificationService, services.notifications.routes(guard));
  router.service(SupportService, services.support.routes(guard));
}
