// Supabase's client for Kotlin, unmodified, against the gateway: supabase-kt of Maven Central, on the JVM. Runs inside
// tools/with-gateway.sh, beside a throw-away cluster and a stand-in for WorkOS.

import io.github.jan.supabase.SupabaseClient
import io.github.jan.supabase.auth.Auth
import io.github.jan.supabase.auth.FlowType
import io.github.jan.supabase.auth.MemoryCodeVerifierCache
import io.github.jan.supabase.auth.MemorySessionManager
import io.github.jan.supabase.auth.SignOutScope
import io.github.jan.supabase.auth.auth
import io.github.jan.supabase.auth.exception.AuthRestException
import io.github.jan.supabase.auth.jwt.AMRMethod
import io.github.jan.supabase.auth.parseSessionFromUrl
import io.github.jan.supabase.auth.providers.WorkOS
import io.github.jan.supabase.auth.providers.builtin.Email
import io.github.jan.supabase.auth.providers.builtin.OTP
import io.github.jan.supabase.auth.user.UserSession
import io.github.jan.supabase.createSupabaseClient
import io.github.jan.supabase.exceptions.RestException
import io.github.jan.supabase.logging.LogLevel
import java.net.URI
import java.net.URLDecoder
import java.net.URLEncoder
import java.net.http.HttpClient
import java.net.http.HttpRequest
import java.net.http.HttpResponse
import java.util.UUID
import kotlinx.coroutines.delay
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.buildJsonObject
import kotlinx.serialization.json.put
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNotEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Assertions.fail
import org.junit.jupiter.api.Test

val GATEWAY_URL: String = System.getenv("GATEWAY_URL")
val SIMULATOR_URL: String = System.getenv("SIMULATOR_URL")
val PAGE: String = System.getenv("SITE_URL") + "/welcome"
const val DEEP_LINK = "com.example.app://login-callback"

val browser: HttpClient = HttpClient.newBuilder().followRedirects(HttpClient.Redirect.NEVER).build()

// ANCHOR: client
/** What an application makes once. */
fun application(flow: FlowType = FlowType.PKCE): SupabaseClient =
    createSupabaseClient(GATEWAY_URL.removeSuffix("/auth/v1"), "any-key") {
        defaultLogLevel = LogLevel.NONE
        install(Auth) {
            flowType = flow
            alwaysAutoRefresh = false
            autoLoadFromStorage = false
            sessionManager = MemorySessionManager()
            codeVerifierCache = MemoryCodeVerifierCache()
        }
    }
// ANCHOR_END: client

/** From a sign-in's URL to the application, as this person; the cookies are the gateway's. Where the browser ends. */
fun browse(start: String, email: String): String {
    var url = start
    val cookies = mutableMapOf<String, String>()
    repeat(10) {
        if (url.startsWith(SIMULATOR_URL)) {
            url += "&login_hint=" + URLEncoder.encode(email, Charsets.UTF_8)
        } else if (!url.startsWith(GATEWAY_URL)) {
            return url
        }
        val request = HttpRequest.newBuilder(URI(url))
        if (url.startsWith(GATEWAY_URL) && cookies.isNotEmpty()) {
            request.header("Cookie", cookies.entries.joinToString("; ") { "${it.key}=${it.value}" })
        }
        val answer = browser.send(request.build(), HttpResponse.BodyHandlers.ofString())
        for (line in answer.headers().allValues("set-cookie")) {
            val (name, value) = line.substringBefore(";").split("=", limit = 2)
            cookies[name] = value
        }
        val location = answer.headers().firstValue("location").orElse(null)
            ?: fail("$url answers ${answer.statusCode()} ${answer.body()}")
        url = URI(url).resolve(location).toString()
    }
    fail<Unit>("too many redirects: $url")
    return url
}

fun parameters(url: String): Map<String, String> =
    url.substringBefore("#").substringAfter("?", "").split("&").filter { it.isNotEmpty() }.associate {
        it.substringBefore("=") to URLDecoder.decode(it.substringAfter("="), Charsets.UTF_8)
    }

/** Somebody whom no other test knows. */
fun somebody(): String {
    val name = UUID.randomUUID().toString().replace("-", "")
    val email = "p$name@acme.com"
    val person = buildJsonObject {
        put("id", "prof_$name")
        put("connection", "conn_acme")
        put("email", email)
        put("first_name", "Pat")
        put("last_name", "Doe")
        put("idp_id", name)
    }
    val request = HttpRequest.newBuilder(URI("$SIMULATOR_URL/_simulator/profiles"))
        .header("content-type", "application/json")
        .POST(HttpRequest.BodyPublishers.ofString(person.toString()))
    assertEquals(204, browser.send(request.build(), HttpResponse.BodyHandlers.ofString()).statusCode())
    return email
}

fun asSuperuser(sql: String) {
    val bindir = ProcessBuilder(System.getenv("PG_CONFIG"), "--bindir").start().inputReader().readText().trim()
    val psql = ProcessBuilder("$bindir/psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--command", sql)
    assertEquals(0, psql.redirectErrorStream(true).start().also { it.inputReader().readText() }.waitFor(), sql)
}

// ANCHOR: sign-in
fun signInUrl(app: SupabaseClient, redirectUrl: String? = PAGE, organization: String = "org_acme"): String =
    app.auth.getOAuthUrl(WorkOS, redirectUrl) { queryParams["organization"] = organization }

suspend fun signedIn(email: String): SupabaseClient {
    val app = application()
    app.auth.exchangeCodeForSession(parameters(browse(signInUrl(app), email)).getValue("code"))
    return app
}
// ANCHOR_END: sign-in

fun session(app: SupabaseClient): UserSession = app.auth.currentSessionOrNull() ?: fail("nobody is signed in")

suspend fun refused(code: String, call: suspend () -> Any?) {
    try {
        call()
    } catch (error: AuthRestException) {
        assertEquals(code, error.error)
        return
    }
    fail<Unit>("it was not refused: $code")
}

class ClientTest {
    @Test
    fun aSignInByPkce() = runBlocking<Unit> {
        val email = somebody()
        val app = signedIn(email)
        val user = app.auth.retrieveUserForCurrentSession()
        assertEquals(email, user.email)
        assertEquals("authenticated", user.aud)
        assertEquals(JsonPrimitive("Pat Doe"), user.userMetadata!!["full_name"])
        assertEquals("workos", user.identities!!.single().provider)
    }

    @Test
    fun aSignInByTheImplicitFlow() = runBlocking<Unit> {
        val email = somebody()
        val app = application(FlowType.IMPLICIT)
        app.auth.importSession(app.auth.parseSessionFromUrl(browse(signInUrl(app), email)))
        assertEquals(email, app.auth.retrieveUserForCurrentSession().email)
    }

    @Test
    fun aDeepLinkAndNone() = runBlocking<Unit> {
        asSuperuser("insert into auth.redirect_urls values ('com.example.app://**') on conflict do nothing")
        val app = application()
        val end = browse(signInUrl(app, DEEP_LINK), somebody())
        assertTrue(end.startsWith("$DEEP_LINK?code="), end)
        app.auth.exchangeCodeForSession(parameters(end).getValue("code"))
        // It writes redirect_to=null.
        val site = browse(signInUrl(application(), null), somebody())
        assertTrue(site.startsWith(System.getenv("SITE_URL")), site)
    }

    @Test
    fun claims() = runBlocking<Unit> {
        val claims = signedIn(somebody()).auth.getClaims().claims
        assertEquals("authenticated", claims.role)
        assertEquals(AMRMethod.OAuth, claims.amr!!.single().method)
    }

    @Test
    fun aRefresh() = runBlocking<Unit> {
        val app = signedIn(somebody())
        val before = session(app)
        app.auth.refreshCurrentSession()
        assertNotEquals(before.refreshToken, session(app).refreshToken)
    }

    @Test
    fun metadata() = runBlocking<Unit> {
        val app = signedIn(somebody())
        app.auth.updateUser { data { put("theme", "dark") } }
        assertEquals(JsonPrimitive("dark"), app.auth.retrieveUserForCurrentSession().userMetadata!!["theme"])
        refused("validation_failed") { app.auth.updateUser { email = "mallory@acme.com" } }
    }

    @Test
    fun threeSignOuts() = runBlocking<Unit> {
        val email = somebody()
        for ((scope, ends) in listOf(
            SignOutScope.LOCAL to listOf(true, false, false),
            SignOutScope.OTHERS to listOf(false, true, true),
            SignOutScope.GLOBAL to listOf(true, true, true),
        )) {
            val apps = List(3) { signedIn(email) }
            val tokens = apps.map { session(it).refreshToken }
            apps[0].auth.signOut(scope)
            for ((token, ended) in tokens.zip(ends)) {
                if (ended) refused("refresh_token_not_found") { application().auth.refreshSession(token) }
                else application().auth.refreshSession(token)
            }
        }
    }

    @Test
    fun aRoleThatChangesMeanwhile() = runBlocking<Unit> {
        val email = somebody()
        val app = signedIn(email)
        val id = session(app).user!!.id
        val promote = "update auth.organization_memberships set role = 'owner', roles = '{owner}' where user_id = '$id'"
        asSuperuser(promote)
        assertEquals(email, app.auth.retrieveUserForCurrentSession().email)
        app.auth.refreshCurrentSession()
        assertEquals(JsonPrimitive("owner"), app.auth.getClaims().claims.claims["org_role"])
        // A sign-out with the older token ends the session all the same.
        asSuperuser(promote.replace("owner", "member"))
        val token = session(app).refreshToken
        app.auth.signOut()
        refused("refresh_token_not_found") { application().auth.refreshSession(token) }
        assertNull(app.auth.currentSessionOrNull())
    }

    @Test
    fun linkingAndUnlinking() = runBlocking<Unit> {
        val app = signedIn(somebody())
        val id = session(app).user!!.id
        val other = somebody()
        suspend fun link() = app.auth.linkIdentity(WorkOS, PAGE) {
            automaticallyOpenUrl = false
            queryParams["organization"] = "org_acme"
        }!!
        app.auth.exchangeCodeForSession(parameters(browse(link(), other)).getValue("code"))
        val identities = app.auth.retrieveUserForCurrentSession(updateSession = true).identities!!
        assertEquals(id to 2, session(app).user!!.id to identities.size)
        assertEquals("identity_already_exists", parameters(browse(link(), other))["error_code"])
        val linked = identities.single { it.identityData["email"] == JsonPrimitive(other) }
        app.auth.unlinkIdentity(linked.identityId!!)
        // The session goes on.
        app.auth.refreshCurrentSession()
        val left = app.auth.retrieveUserForCurrentSession(updateSession = true).identities!!
        refused("single_identity_not_deletable") { app.auth.unlinkIdentity(left.single().identityId!!) }
    }

    @Test
    fun errors() = runBlocking<Unit> {
        refused("refresh_token_not_found") { application().auth.refreshSession("of-another-server") }
        for ((organization, code) in listOf("org_hooli" to "connection_unlinked", "org_unknown" to "organization_invalid")) {
            assertEquals(code, parameters(browse(signInUrl(application(), organization = organization), somebody()))["error_code"])
        }
        val app = application()
        val code = parameters(browse(signInUrl(app), somebody())).getValue("code")
        val stranger = application()
        signInUrl(stranger)
        // The client stores its verifier in the background.
        withTimeout(10_000) { while (stranger.auth.codeVerifierCache.loadCodeVerifier() == null) delay(10) }
        refused("bad_code_verifier") { stranger.auth.exchangeCodeForSession(code) }
        app.auth.exchangeCodeForSession(code)
        val id = session(app).user!!.id
        asSuperuser("update auth.users set banned_until = now() + interval '1 h' where id = '$id'")
        refused("user_banned") { app.auth.refreshCurrentSession() }
        refused("bad_jwt") { app.auth.retrieveUser("x.y.z") }
    }

    @Test
    fun whatMayBeTriedAgainIsNoEnd() = runBlocking<Unit> {
        val app = signedIn(somebody())
        val first = session(app).refreshToken
        repeat(2) { app.auth.refreshCurrentSession() }
        try {
            application().auth.refreshSession(first)
            fail<Unit>("it was not refused")
        } catch (error: RestException) {
            assertEquals(503, error.statusCode)
        }
        app.auth.refreshCurrentSession()
    }

    @Test
    fun whatIsSwitchedOff() = runBlocking<Unit> {
        val app = application()
        refused("email_provider_disabled") { app.auth.signUpWith(Email) { email = "pat@acme.com"; password = "correct horse" } }
        refused("email_provider_disabled") { app.auth.signInWith(Email) { email = "pat@acme.com"; password = "correct horse" } }
        refused("email_provider_disabled") { app.auth.signInWith(OTP) { email = "pat@acme.com" } }
        refused("anonymous_provider_disabled") { app.auth.signInAnonymously() }
        refused("email_provider_disabled") { app.auth.resetPasswordForEmail("pat@acme.com") }
        refused("email_provider_disabled") { signedIn(somebody()).auth.reauthenticate() }
    }
}
