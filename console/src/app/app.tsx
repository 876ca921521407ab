/** The root: data client, who is signed in, and which page is shown. */
import { MutationCache, QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { lazy, Suspense, useEffect } from "react";
import { ApiError, whenSignedOut } from "../lib/api.ts";
import { matchPath } from "../lib/route.ts";
import { navigate, usePath } from "../lib/router.tsx";
import type { Me } from "../lib/types.ts";
import { ButtonLink } from "../ui/button.tsx";
import { Empty, Failure, Loading } from "../ui/states.tsx";
import { Toasts, toast, toastError } from "../ui/toast.tsx";
import { Boundary } from "./boundary.tsx";
import { Layout } from "./layout.tsx";
import { MeContext, useMeQuery } from "./me.ts";
import { mayVisit, pages } from "./pages.tsx";
import { askStepUp, StepUp } from "./step-up.tsx";

const Login = lazy(() => import("../login/page.tsx"));

/** Not known here, not allowed, not there: asking again will not help. */
function isFinal(error: unknown): boolean {
  return error instanceof ApiError && error.status >= 400 && error.status < 500;
}

const client = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 10_000,
      retry: (failures, error) => !isFinal(error) && failures < 2,
      refetchOnWindowFocus: true,
      // The gateway may be on this machine, whatever the browser thinks of the network; and no decision waits to be sent later.
      networkMode: "always",
    },
    mutations: { retry: false, networkMode: "always" },
  },
  mutationCache: new MutationCache({
    onError: (error, _variables, _context, mutation) => {
      if (error instanceof ApiError && error.code === "STEP_UP_REQUIRED") askStepUp(error.login);
      else if (error instanceof ApiError && error.code === "CSRF") void signedInAnew();
      else if (error instanceof ApiError && error.status === 401) return;
      else if (mutation.meta?.quiet !== true) toastError(error);
    },
  }),
});

/**
 * Somebody signed in anew in another tab, which gave the browser another session: this page's proof is of the one before. Nothing was done.
 * The same person may press the button once more; for another one all that is shown is loaded again.
 */
async function signedInAnew(): Promise<void> {
  const before = client.getQueryData<Me>(["me"]);
  await client.invalidateQueries({ queryKey: ["me"] });
  const now = client.getQueryData<Me>(["me"]);
  if (now === undefined || now.subject !== before?.subject || now.issuer !== before.issuer)
    window.location.reload();
  else toast("bad", "You signed in anew in another tab. Nothing was done yet: press the button once more.");
}

export function App() {
  return (
    <QueryClientProvider client={client}>
      <Boundary>
        <Gate />
      </Boundary>
      <Toasts />
    </QueryClientProvider>
  );
}

/** The login page for strangers, the console for who is known. */
function Gate() {
  const path = usePath();
  useEffect(() => {
    whenSignedOut(() => {
      client.removeQueries({ predicate: (query) => query.queryKey[0] !== "login" });
      const { pathname, search } = window.location;
      if (pathname !== "/login")
        navigate(`/login?return=${encodeURIComponent(pathname + search)}`, { replace: true });
    });
  }, []);
  if (path === "/login")
    return (
      <Suspense fallback={<Loading />}>
        <Login />
      </Suspense>
    );
  return <Known path={path} />;
}

function Known({ path }: { readonly path: string }) {
  const me = useMeQuery();
  if (me.isPending)
    return (
      <main className="alone">
        <Loading label="Loading the console" />
      </main>
    );
  if (me.isError)
    return (
      <main className="alone">
        <Failure error={me.error} onRetry={() => void me.refetch()} />
        {me.error instanceof ApiError && me.error.status === 403 ? (
          <ButtonLink to="/login">Sign in as somebody else</ButtonLink>
        ) : null}
      </main>
    );
  return (
    <MeContext value={me.data}>
      <Layout path={path}>
        <Shown path={path} />
      </Layout>
      <StepUp />
    </MeContext>
  );
}

function Shown({ path }: { readonly path: string }) {
  const me = useMeQuery().data;
  const roles = me?.roles ?? [];
  const home = pages.find((page) => page.nav !== null && mayVisit(page, roles))?.path ?? "/live";
  for (const page of pages) {
    const params = matchPath(page.path, path);
    if (params === null) continue;
    if (!mayVisit(page, roles))
      return path === "/" ? <Redirect to={home} /> : <Forbidden needed={page.roles.join(" or ")} />;
    return (
      <Boundary key={page.path}>
        <Suspense fallback={<Loading />}>
          <page.View params={params} />
        </Suspense>
      </Boundary>
    );
  }
  if (path === "/") return <Redirect to={home} />;
  return (
    <Empty
      icon="search"
      title="There is no such page"
      action={<ButtonLink to={home}>To the start</ButtonLink>}
    >
      <p>The address may be old or mistyped.</p>
    </Empty>
  );
}

function Forbidden({ needed }: { readonly needed: string }) {
  return (
    <Empty icon="lock" title="This page is not for your role">
      <p>It needs the role {needed}. Roles are given by group in postern.yaml, under admin.</p>
    </Empty>
  );
}

function Redirect({ to }: { readonly to: string }) {
  useEffect(() => navigate(to, { replace: true }), [to]);
  return null;
}
