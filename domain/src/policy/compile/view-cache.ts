/** Views by what makes them: the groups of policies that select a subject, and what their rules mean for it. */
import type { Direction } from "../model.ts";
import type { SetViews } from "./assemble.ts";
import { planGroups } from "./plan.ts";
import type { PolicyGroup, PolicyGroups } from "./policy-groups.ts";
import { SelectionPlan, type View, type ViewContext, type ViewSubject } from "./view.ts";

/** Subjects that the same groups select in the same way. */
interface Selection {
  readonly groups: readonly PolicyGroup[];
  /** Equal texts = groups with the same subjects, whatever their policies. */
  readonly lineage: string;
  readonly plans: Readonly<Record<Direction, SelectionPlan>>;
  readonly views: Map<string, View>;
  /** What was selected by groups of the same subjects before the last change. */
  readonly previous: Selection["views"] | null;
}

export class ViewCache {
  #groups: PolicyGroups;
  readonly #context: ViewContext;
  readonly #selections = new Map<string, Selection>();
  /** Views of the selections that the last change made invalid, by the subjects of their groups. */
  readonly #retired = new Map<string, Selection["views"]>();
  readonly #liveIds = new Set<number>();

  constructor(groups: PolicyGroups, context: ViewContext) {
    this.#groups = groups;
    this.#context = context;
  }

  get groups(): PolicyGroups {
    return this.#groups;
  }

  /** Forgets what the groups that are no longer there were part of. */
  update(groups: PolicyGroups): void {
    this.#groups = groups;
    this.#retired.clear();
    for (const [key, { lineage, groups: needed, views }] of this.#selections) {
      if (needed.every((group) => groups.has(group))) continue;
      this.#selections.delete(key);
      this.#retired.set(lineage, views);
      for (const view of views.values()) this.#liveIds.delete(view.id);
    }
  }

  viewsOf(subject: ViewSubject): SetViews {
    const selection = this.#selectionOf(subject);
    return {
      ingress: this.#viewOf(selection, "ingress", subject),
      egress: this.#viewOf(selection, "egress", subject),
    };
  }

  /** Equal keys = the same views. */
  keyOf(sets: readonly SetViews[]): string {
    return sets.map(({ ingress, egress }) => `${ingress.id} ${egress.id}`).join(" ");
  }

  /** Whether all views of a key are still there. */
  hasAll(key: string): boolean {
    return key.split(" ").every((id) => this.#liveIds.has(Number(id)));
  }

  #selectionOf({ endpoint, host }: ViewSubject): Selection {
    const own = this.#groups.selecting(endpoint);
    const inherited = host === null ? [] : this.#groups.selecting(host);
    const textOf = (field: "id" | "lineage") =>
      `${own.map((group) => group[field]).join()}/${inherited.map((group) => group[field]).join()}`;
    const key = textOf("id");
    let selection = this.#selections.get(key);
    if (!selection) {
      const { ingress, egress } = planGroups(this.#groups, own, inherited);
      const plans = {
        ingress: new SelectionPlan(ingress, this.#context),
        egress: new SelectionPlan(egress, this.#context),
      };
      const lineage = textOf("lineage");
      const previous = this.#retired.get(lineage) ?? null;
      this.#retired.delete(lineage);
      selection = { groups: [...own, ...inherited], lineage, plans, views: new Map(), previous };
      this.#selections.set(key, selection);
    }
    return selection;
  }

  #viewOf({ plans, views, previous }: Selection, direction: Direction, subject: ViewSubject): View {
    const key = `${direction} ${plans[direction].variant(subject)}`;
    let view = views.get(key);
    if (!view) {
      view = plans[direction].view(subject, previous?.get(key) ?? null);
      views.set(key, view);
      this.#liveIds.add(view.id);
    }
    return view;
  }
}
